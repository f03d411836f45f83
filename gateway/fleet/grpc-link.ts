import type { ChannelCredentials, ClientDuplexStream } from '@grpc/grpc-js';
import { FleetServiceClient, type ForwardBatch, type ForwardResultBatch } from '../../proto/gen/fleet.ts';
import type { LinkEvents, LinkStream } from './pair-link.ts';

const messageBytesMax = 4_194_304;

/** One `FleetService.Forward` stream over a connection of its own. */
export function dialForward(endpoint: string, credentials: ChannelCredentials, events: LinkEvents): LinkStream {
  const client = new FleetServiceClient(`dns:${endpoint}`, credentials, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.keepalive_time_ms': 2_000,
    'grpc.keepalive_timeout_ms': 2_000,
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.enable_channelz': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  });
  const stream: ClientDuplexStream<ForwardBatch, ForwardResultBatch> = client.forward();
  let open = true;
  const broken = () => {
    if (!open) return;
    open = false;
    client.close();
    events.broken();
  };
  stream.on('data', ({ results }: ForwardResultBatch) => events.results(results));
  stream.on('drain', events.writable);
  stream.on('error', broken);
  stream.on('end', broken);
  return {
    send: (calls) => stream.write({ calls: [...calls] }),
    close: () => {
      open = false;
      stream.cancel();
      client.close();
    },
  };
}
