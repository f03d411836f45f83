/** A host and port as written in configuration. An empty host means every local address. */
export interface HostPort {
  /** A name or a textual address, an IPv6 one without its brackets; empty for every local address. */
  readonly host: string;
  readonly port: number;
}

const addressPattern = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\]\s]+)?)\]|([^\s:[\]/]*)):(\d{1,5})$/;

/** Reads ":8453", "0.0.0.0:8453", "[::1]:8453" or "localhost:9001"; undefined when `text` is none of these. */
export function parseAddress(text: string): HostPort | undefined {
  const match = addressPattern.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? '', port };
}

/** The form `parseAddress` reads, with brackets around an IPv6 host. */
export function formatAddress(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** True for names and addresses that never leave this machine. An empty host listens everywhere, so it is not one. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
