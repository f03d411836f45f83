import { createServer } from 'node:net';

type Four = [string, string, string, string];

/** Loopback addresses whose TCP ports were free a moment ago, all different. */
export async function freeAddresses(count: 4): Promise<Four> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const addresses = servers.map((server) => {
    const address = server.address();
    return `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses as Four;
}
