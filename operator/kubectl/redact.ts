/** Names of variables, keys and annotations whose values may be secret. */
const secretName = /secret|password|passwd|token|credential|private|api[-_]?key|\.key$/i;
/** Repeats whole objects, with everything in them. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const removed = '(removed)';

/**
 * An object as it may be given to a stranger: of Secrets the names of their keys only, of variables, annotations and data whose name
 * speaks of a secret no value, and no field managers.
 */
export function redacted(value: unknown): unknown {
  if (isRecord(value) && value['kind'] === 'Secret') return clean({ ...value, ...emptied(value) });
  return clean(value);
}

function emptied(secret: Record<string, unknown>): Record<string, unknown> {
  const fields = ['data', 'stringData'].filter((field) => isRecord(secret[field]));
  return Object.fromEntries(
    fields.map((field) => {
      const keys = Object.keys(secret[field] as object);
      return [field, Object.fromEntries(keys.map((key) => [key, removed]))];
    }),
  );
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (!isRecord(value)) return value;
  if (isSecretVariable(value)) return { ...value, value: removed };
  const kept = Object.entries(value).filter(([key]) => key !== 'managedFields' && key !== lastApplied);
  return Object.fromEntries(
    kept.map(([key, item]) => [key, secretName.test(key) && typeof item === 'string' ? removed : clean(item)]),
  );
}

/** { name: 'REDIS_PASSWORD', value: '…' } */
function isSecretVariable(value: Record<string, unknown>): boolean {
  return typeof value['name'] === 'string' && 'value' in value && secretName.test(value['name']);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
