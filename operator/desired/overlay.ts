/** Lists of a PodSpec whose items have a name of their own, and what that is. */
const keyOfList: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
};

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * `over` laid over `base` as a strategic merge patch does it: objects field by field, named lists item by item, other lists and
 * values as wholes; null takes a field away.
 */
export function overlaid(base: unknown, over: unknown, listKey?: string): unknown {
  if (isFields(base) && isFields(over)) return overlaidFields(base, over);
  if (Array.isArray(base) && Array.isArray(over) && listKey !== undefined) return overlaidList(base, over, listKey);
  return over;
}

function overlaidFields(base: Fields, over: Fields): Fields {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    if (value === null) delete result[name];
    else result[name] = name in base ? overlaid(base[name], value, keyOfList[name]) : value;
  }
  return result;
}

function overlaidList(base: readonly unknown[], over: readonly unknown[], key: string): unknown[] {
  const nameOf = (item: unknown): unknown => (isFields(item) ? item[key] : undefined);
  const changed = base.map((item) => {
    const change = over.find((each) => nameOf(each) !== undefined && nameOf(each) === nameOf(item));
    return change === undefined ? item : overlaid(item, change);
  });
  const known = new Set(base.map(nameOf));
  return [...changed, ...over.filter((item) => !known.has(nameOf(item)))];
}
