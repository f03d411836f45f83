import { hash } from 'node:crypto';

const hex = 16;

/**
 * The zone a user belongs to (design §4): the first four bytes of MD5 over the UTF-8 openid, big-endian, modulo the count.
 * @param zoneCount 1 to 999.
 * @returns "001" and up.
 */
export function zoneOf(openid: string, zoneCount: number): string {
  const head = Number.parseInt(hash('md5', openid, 'hex').slice(0, 8), hex);
  return zoneName((head % zoneCount) + 1);
}

/** "007" for 7. */
export function zoneName(number: number): string {
  return String(number).padStart(3, '0');
}

/** Whether a text names one of `zoneCount` zones: "001" and on. */
export function isZoneId(text: string, zoneCount: number): boolean {
  if (!/^\d{3}$/.test(text)) return false;
  const number = Number(text);
  return number >= 1 && number <= zoneCount;
}
