/** Writes the bill of materials: `node tools/sbom.ts [FILE]`, gatesvr.cdx.json in dist/ by default. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { repositoryFile, repositoryPackages } from './supply-chain/read.ts';
import { sbom } from './supply-chain/sbom.ts';

const path = process.argv[2] ?? 'dist/gatesvr.cdx.json';
const { name, version, license } = JSON.parse(repositoryFile('package.json'));
const packages = repositoryPackages();
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, `${JSON.stringify(sbom({ name, version, licence: license }, packages), null, 2)}\n`);
console.log(`${path}: ${packages.filter(({ production }) => production).length} packages`);
