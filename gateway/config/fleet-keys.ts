import { addressList, choice, duration, flag, integer, optionalFile, optionalText, text } from './keys.ts';

const minuteMs = 60_000;
const pairId = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$/;

/** More than one pair behind one service. */
export const fleet = {
  pairId: text(
    '',
    pairId,
    'lower case letters, digits and dashes, such as p0, or nothing',
    'Name of this pair in the fleet map; not given: this pair is alone.',
  ),
  mapFile: optionalFile('The fleet map, read again when it changes; not given: an administrator hands it out.'),
  forwardTimeoutMs: duration(
    '2500ms',
    { min: 50, max: minuteMs },
    'How long another pair may take to answer a push that was forwarded to it.',
  ),
  forwardMaxInFlight: integer(65_536, { min: 1, max: 1_000_000 }, 'Most forwarded calls that wait for one other pair.'),
  rebalanceRate: integer(
    10,
    { min: 0, max: 100_000 },
    'Sessions a second that leave for the pair a new map gives them to; 0 for none.',
  ),
};

/** Where sessions really are, and who is online. */
export const directory = {
  kind: choice(
    ['memory', 'redis'],
    'memory: the fleet map alone. redis: what gateways recorded; may be lost at any time.',
  ),
  redis: {
    mode: choice(['standalone', 'sentinel', 'cluster'], 'How the Redis is run.'),
    addrs: addressList('Its addresses: the server, the Sentinels, or some nodes of the cluster.'),
    masterName: text(
      'mymaster',
      /^[\w.-]{1,128}$/,
      'a name of letters, digits, dot, dash, underscore',
      'What the Sentinels call it.',
    ),
    username: optionalText('User name of its ACL.'),
    passwordFile: optionalFile('File with its password.'),
    tls: flag('Speak TLS with it, verified against server.ca_file where given.'),
    db: integer(0, { min: 0, max: 1_000_000 }, 'Database number; a cluster has only 0.'),
    prefix: text(
      'gatesvr',
      /^[\w.:-]{1,64}$/,
      'letters, digits, dot, dash, colon, underscore',
      'What its keys begin with.',
    ),
    timeoutMs: duration('250ms', { min: 10, max: minuteMs }, 'How long it may take to answer.'),
    entryTtlMs: duration(
      '90s',
      { min: 5_000, max: 60 * minuteMs },
      'An entry that is not announced again for this long is forgotten.',
    ),
  },
};
