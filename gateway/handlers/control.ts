import type {
  DemoteRequest,
  DemoteResponse,
  GatewayStatus,
  PromoteRequest,
  PromoteResponse,
} from '../../proto/gen/admin.ts';

/** What an administrator may ask of the gateway as a whole. */
export interface GatewayControl {
  status(): GatewayStatus;
  promote(request: PromoteRequest): Promise<PromoteResponse>;
  demote(request: DemoteRequest): Promise<DemoteResponse>;
  /** Sends clients away, a few a second; 0 means all at once. @returns the sessions still here. */
  drain(deadlineMs: number, sessionsPerSecond: number): number;
  /** Called when the status changed in what others decide by. @returns a function that takes the listener off again. */
  onChange(listener: () => void): () => void;
  onShutdown(listener: () => void): () => void;
}
