/** Checks versions, licences, hashes and install scripts of all dependencies, without a network: `node tools/audit.ts`. */
import { audit, type Policy } from './supply-chain/audit.ts';
import { repositoryFile, repositoryPackages } from './supply-chain/read.ts';

const policy: Policy = JSON.parse(repositoryFile('tools/supply-chain/policy.json'));
const { allowScripts = {} } = JSON.parse(repositoryFile('package.json'));
const packages = repositoryPackages();
const problems = audit(packages, policy, new Set(Object.keys(allowScripts)));
for (const problem of problems) {
  console.error(problem);
}
console.log(`${packages.length} packages, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
