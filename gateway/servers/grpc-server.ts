import { fileURLToPath } from 'node:url';
import {
  Server,
  type ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { errorMessage, UsageError } from '../lib/errors.ts';

const messageBytesMax = 4_194_304;
const protoFolder = fileURLToPath(new URL('../../proto/', import.meta.url));

export interface GrpcServerOptions {
  /** HOST:PORT; an empty host means all addresses. */
  readonly address: string;
  readonly credentials: ServerCredentials;
  readonly services: readonly {
    readonly definition: ServiceDefinition;
    readonly implementation: UntypedServiceImplementation;
  }[];
  readonly interceptors: readonly ServerInterceptor[];
  /** Lets tools list services and messages; it tells a stranger what there is. */
  readonly reflection: boolean;
}

export interface GrpcServer {
  /** The port that was bound. */
  readonly port: number;
  setServing(serving: boolean): void;
  /** Lets calls under way finish until the deadline, then cuts them. */
  close(deadlineMs: number): Promise<void>;
}

/**
 * Starts a gRPC server with grpc.health.v1 on it.
 * @throws UsageError when the address cannot be bound.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const server = new Server({
    interceptors: [...options.interceptors],
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.http2.min_ping_interval_without_data_ms': 1_000,
    'grpc.max_concurrent_streams': 1_000,
  });
  for (const { definition, implementation } of options.services) server.addService(definition, implementation);
  const health = new HealthImplementation({ '': 'SERVING' });
  health.addToServer(server);
  if (options.reflection) addReflection(server);
  const port = await bind(server, options);
  return {
    port,
    setServing: (serving) => health.setStatus('', serving ? 'SERVING' : 'NOT_SERVING'),
    close: (deadlineMs) => close(server, deadlineMs),
  };
}

function addReflection(server: Server): void {
  const files = ['upstream.proto', 'admin.proto'];
  new ReflectionService(loadSync(files, { includeDirs: [protoFolder] })).addToServer(server);
}

function bind(server: Server, options: GrpcServerOptions): Promise<number> {
  const address = options.address.startsWith(':') ? `[::]${options.address}` : options.address;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, options.credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new UsageError(`grpc_addr: ${options.address}: cannot listen: ${errorMessage(error)}`));
    });
  });
}

function close(server: Server, deadlineMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, deadlineMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
