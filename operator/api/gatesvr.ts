// Generated from crds/gatesvr.io_gatesvrs.yaml: npm run generate. Do not edit.
import type { KubeObject } from '../kube-api.ts';

/** A fleet of gateway pairs. Clients connect to it by QUIC; Zones say where their requests go. */
export interface GateSvr extends KubeObject {
  readonly apiVersion: 'gatesvr.io/v1alpha1';
  readonly kind: 'GateSvr';
  readonly spec: GateSvrSpec;
  readonly status?: GateSvrStatus;
}

export interface GateSvrSpec {
  /** Number of pairs. Each pair is two pods, of which one serves and one holds the same state. This is what the scale subresource changes. */
  readonly pairs: number;
  /** Number of zones that users are spread over. Changing it moves users to other zones. */
  readonly zoneCount: number;
  /** Image of the gateway. The operator's own version is taken when it is not given. */
  readonly image?: string;
  /** When the kubelet pulls the image. */
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Secrets with the credentials of the registry. */
  readonly imagePullSecrets?: readonly GateSvrSpecImagePullSecret[];
  /** What each gateway may use. A gateway uses a little more than one processor at most. */
  readonly resources: GateSvrSpecResources;
  /** Which nodes the pods run on. */
  readonly scheduling: GateSvrSpecScheduling;
  /** How clients reach the fleet. */
  readonly quic: GateSvrSpecQuic;
  /** How clients prove who they are. */
  readonly auth: GateSvrSpecAuth;
  /** Sessions and what is queued for them. A change restarts the gateways, one after the other. */
  readonly session: GateSvrSpecSession;
  /** Limits of each gateway. They are changed while it runs. A warning threshold not given is 80 % of its limit. */
  readonly overload: GateSvrSpecOverload;
  /** When a backup takes over. */
  readonly failover: GateSvrSpecFailover;
  /** How a pair keeps the same state. */
  readonly replication: GateSvrSpecReplication;
  /** Where the fleet keeps which pair holds a session. Needed only with more than one pair, and only when a session may live at any of them. */
  readonly directory: GateSvrSpecDirectory;
  /** How a change of image or configuration reaches the gateways. */
  readonly update: GateSvrSpecUpdate;
  /** Certificates between gateways, operator and zones. */
  readonly certificates: GateSvrSpecCertificates;
  /** Which connections the cluster's network lets through. */
  readonly networkPolicy: GateSvrSpecNetworkPolicy;
  /** Changes to the pods that the operator makes. */
  readonly podTemplate: GateSvrSpecPodTemplate;
}

export interface GateSvrSpecImagePullSecret {
  /** Name of a Secret in the same namespace. */
  readonly name: string;
}

export interface GateSvrSpecResources {
  /** What the scheduler reserves, by name of the resource. */
  readonly requests: Readonly<Record<string, string | number>>;
  /** What a gateway may not exceed. A processor limit throttles and makes heartbeats late; give memory only. */
  readonly limits?: Readonly<Record<string, string | number>>;
}

export interface GateSvrSpecScheduling {
  /** Labels that a node must have. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Taints that the pods tolerate. */
  readonly tolerations?: readonly GateSvrSpecSchedulingToleration[];
  /** Whether the two pods of a pair must run on different nodes, or only should. */
  readonly antiAffinity: 'Preferred' | 'Required';
  /** Label of nodes that must or should differ between the two pods of a pair. */
  readonly topologyKey: string;
  /** Label of nodes over whose values all pods are spread evenly where that is possible. */
  readonly spreadKey: string;
  /** Priority of the pods. */
  readonly priorityClassName?: string;
}

export interface GateSvrSpecSchedulingToleration {
  /** Key of the taint; all when it is not given. */
  readonly key?: string;
  /** How the value is compared. */
  readonly operator?: 'Exists' | 'Equal';
  /** Value of the taint. */
  readonly value?: string;
  /** Effect of the taint; all when it is not given. */
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  /** How long a NoExecute taint is tolerated. */
  readonly tolerationSeconds?: number;
}

export interface GateSvrSpecQuic {
  /** UDP port of the Service NAME-quic. */
  readonly port: number;
  /** Type of the Service NAME-quic. */
  readonly serviceType: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** Port on every node; the cluster takes a free one when it is not given. */
  readonly nodePort?: number;
  /** Which load balancer serves the Service. */
  readonly loadBalancerClass?: string;
  /** Local keeps the client's address, but only the primary's node answers. */
  readonly externalTrafficPolicy: 'Cluster' | 'Local';
  /** Annotations of the Service NAME-quic, for example for the load balancer. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Certificate that clients see. One of the operator's own authority is taken when it is not given. */
  readonly tlsSecret?: GateSvrSpecQuicTlsSecret;
  /** Address, HOST:PORT, at which clients find a pair again, when it is not the one they used. {pair} becomes the number of the pair. */
  readonly advertise?: string;
}

export interface GateSvrSpecQuicTlsSecret {
  /** Name of a Secret of type kubernetes.io/tls in the same namespace. */
  readonly name: string;
}

export interface GateSvrSpecAuth {
  /** none believes everyone and is for trying out only. */
  readonly mode: 'none' | 'hmac' | 'jwt' | 'grpc';
  /** How far the clocks of token makers may be off. */
  readonly clockSkew: string;
  /** Tokens signed with a shared secret. */
  readonly hmac?: GateSvrSpecAuthHmac;
  /** JSON Web Tokens. */
  readonly jwt?: GateSvrSpecAuthJwt;
  /** A service that is asked about every login. */
  readonly grpc?: GateSvrSpecAuthGrpc;
}

export interface GateSvrSpecAuthHmac {
  /** Where the secret is. */
  readonly secret: GateSvrSpecAuthHmacSecret;
}

export interface GateSvrSpecAuthHmacSecret {
  /** Name of the object in the same namespace. */
  readonly name: string;
  /** Key in its data. */
  readonly key: string;
}

export interface GateSvrSpecAuthJwt {
  /** Required issuer (iss). */
  readonly issuer?: string;
  /** Required audience (aud). */
  readonly audience?: string;
  /** Where the keys are fetched from. */
  readonly jwksUrl?: string;
  /** Keys in a ConfigMap, as a JSON Web Key Set. */
  readonly jwksConfigMap?: GateSvrSpecAuthJwtJwksConfigMap;
  /** Claim that holds the openid. */
  readonly openidClaim: string;
  /** Accepted signatures. */
  readonly algorithms: readonly ('RS256' | 'ES256' | 'EdDSA')[];
}

export interface GateSvrSpecAuthJwtJwksConfigMap {
  /** Name of the object in the same namespace. */
  readonly name: string;
  /** Key in its data. */
  readonly key: string;
}

export interface GateSvrSpecAuthGrpc {
  /** HOST:PORT of the service. */
  readonly address: string;
  /** How long it may take. */
  readonly timeout: string;
}

export interface GateSvrSpecSession {
  /** A session whose client says nothing for this long ends. */
  readonly timeout: string;
  /** How long a session waits for its client to come back. */
  readonly resumeWindow: string;
  /** A push not acknowledged for this long is sent again. */
  readonly ackTimeout: string;
  /** After this many repeats without acknowledgement the connection is closed. */
  readonly maxRetries: number;
  /** The first message of a connection must arrive within this time. */
  readonly startTimeout: string;
  /** How often clients are asked to send a heartbeat. */
  readonly heartbeatInterval: string;
  /** A connection on which nothing arrives for this long is closed. */
  readonly idleTimeout: string;
  /** What a second login of the same user does to the first. */
  readonly secondLogin: 'resume' | 'replace' | 'refuse';
  /** Longest message either way. */
  readonly maxFrameBytes: number;
  /** Most unacknowledged messages of one session. */
  readonly queueMaxMessages: number;
  /** Most unacknowledged bytes of one session. */
  readonly queueMaxBytes: number;
  /** Most unacknowledged bytes of all sessions of a gateway together. */
  readonly totalQueueMaxBytes: number;
}

export interface GateSvrSpecOverload {
  /** Refuse work beyond the limits. */
  readonly enabled: boolean;
  /** Most client connections. */
  readonly maxConnections: number;
  /** Connections from which on the state is warn. */
  readonly connectionWarningThreshold?: number;
  /** Most requests a second, over the window. */
  readonly maxQps: number;
  /** Requests a second from which on the state is warn. */
  readonly qpsWarningThreshold?: number;
  /** Length of the sliding window over which requests are counted. */
  readonly qpsWindowSeconds: number;
  /** Most requests waiting for zones at a time. */
  readonly maxUpstreamConcurrent: number;
  /** Waiting requests from which on the state is warn. */
  readonly upstreamWarningThreshold?: number;
  /** How long a zone may take to answer. */
  readonly upstreamTimeout: string;
}

export interface GateSvrSpecFailover {
  /** How often the two gateways of a pair, and a gateway and the operator, hear of each other. */
  readonly heartbeatInterval: string;
  /** A gateway silent for this long is lost. A process that dies is noticed at once. */
  readonly heartbeatTimeout: string;
  /** How much longer to wait for a lost primary before its backup takes over. */
  readonly delay: string;
  /** Least time between two promotions in a pair when nothing proves that a process died. */
  readonly cooldown: string;
  /** When nobody who holds the state could be reached for this long, the pair begins again empty and clients log in again. */
  readonly resetAfter: string;
}

export interface GateSvrSpecReplication {
  /** Most log entries in one batch. */
  readonly batchSize: number;
  /** Longest a batch may wait to fill; an idle link never waits. */
  readonly batchTimeout: string;
  /** Most log entries not yet acknowledged by the backup. */
  readonly bufferSize: number;
}

export interface GateSvrSpecDirectory {
  /** Keep it in Redis. It may be lost at any time; gateways announce their sessions again. */
  readonly redis?: GateSvrSpecDirectoryRedis;
}

export interface GateSvrSpecDirectoryRedis {
  /** How the Redis is run. */
  readonly mode: 'standalone' | 'sentinel' | 'cluster';
  /** HOST:PORT of the server, of the Sentinels, or of some nodes of the cluster. */
  readonly addresses: readonly string[];
  /** What the Sentinels call it. */
  readonly masterName: string;
  /** Speak TLS with it. */
  readonly tls: boolean;
  /** Number of the database. */
  readonly database: number;
  /** User to log in as. */
  readonly username?: string;
  /** Where the password is. */
  readonly passwordSecret?: GateSvrSpecDirectoryRedisPasswordSecret;
  /** What its keys begin with. A name of its own for each GateSvr when it is not given. */
  readonly prefix?: string;
}

export interface GateSvrSpecDirectoryRedisPasswordSecret {
  /** Name of the object in the same namespace. */
  readonly name: string;
  /** Key in its data. */
  readonly key: string;
}

export interface GateSvrSpecUpdate {
  /** RollingUpdate replaces the backup, waits until it is in sync, hands over, and replaces the other. OnDelete waits for somebody to delete pods. */
  readonly strategy: 'RollingUpdate' | 'OnDelete';
  /** Most pairs that are updated at a time. */
  readonly maxParallelPairs: number;
  /** Longest a gateway may take to send its clients away. */
  readonly drainTimeout: string;
  /** Pace at which clients are sent away; 0 is all at once. */
  readonly drainSessionsPerSecond: number;
  /** An updated gateway that is not in sync after this time stops the update. */
  readonly progressDeadline: string;
}

export interface GateSvrSpecCertificates {
  /** Issuer of cert-manager. The operator has an authority of its own when it is not given. */
  readonly issuerRef?: GateSvrSpecCertificatesIssuerRef;
  /** How long a certificate is valid. */
  readonly validity: string;
  /** How long before its end a certificate is replaced. */
  readonly renewBefore: string;
}

export interface GateSvrSpecCertificatesIssuerRef {
  /** Name of the issuer. */
  readonly name: string;
  /** Issuer or ClusterIssuer, or a kind of its own. */
  readonly kind: string;
  /** Group of that kind. */
  readonly group: string;
}

export interface GateSvrSpecNetworkPolicy {
  /** Make a NetworkPolicy that refuses everything the gateways do not need. */
  readonly enabled: boolean;
}

export interface GateSvrSpecPodTemplate {
  /** Labels to add. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Annotations to add. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** Environment of the gateway. GATESVR_* sets keys of its configuration that this schema does not have; what the operator sets stays. */
  readonly env?: readonly GateSvrSpecPodTemplateEnv[];
  /** Fields of a PodSpec, laid over the operator's by strategic merge of containers, volumes and the like by name. The container is named gateway. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface GateSvrSpecPodTemplateEnv {
  /** Name of the variable. */
  readonly name: string;
  /** Its value. */
  readonly value: string;
}

export interface GateSvrStatus {
  /** Generation of the spec that this status is about. */
  readonly observedGeneration?: number;
  /** Pairs with a primary that serves. */
  readonly replicas?: number;
  /** Pairs whose two pods have the wanted template. */
  readonly updatedPairs?: number;
  /** Label selector of the primaries, for the scale subresource. */
  readonly selector?: string;
  /** Image that the gateways have, or are being given. */
  readonly image?: string;
  /** Revision of the set of zones that the gateways are to have. */
  readonly zonesRevision?: number;
  /** Names the set of zones of that revision. */
  readonly zonesHash?: string;
  /** Ready: every pair serves and has a backup in sync. Available: every pair serves. Progressing: an update or a change of size is under way. Degraded: something needs attention. LimitsApplied: every gateway has the limits of the spec. */
  readonly conditions?: readonly GateSvrStatusCondition[];
  /** The pairs, one by one. */
  readonly pairs?: readonly GateSvrStatusPair[];
}

export interface GateSvrStatusCondition {
  /** What it is about. */
  readonly type: string;
  /** Whether it holds. */
  readonly status: 'True' | 'False' | 'Unknown';
  /** Generation of the spec that it is about. */
  readonly observedGeneration?: number;
  /** When the status changed last. */
  readonly lastTransitionTime: string;
  /** Why, as one word. */
  readonly reason: string;
  /** Why, and what to do. */
  readonly message: string;
}

export interface GateSvrStatusPair {
  /** p0, p1, … */
  readonly name: string;
  /** Pod that serves. */
  readonly currentPrimary?: string;
  /** Pod that is to serve; another than currentPrimary while a failover or switchover is under way. */
  readonly targetPrimary?: string;
  /** Since when the primary is lost. */
  readonly currentPrimaryFailingSince?: string;
  /** Counts promotions. */
  readonly epoch?: number;
  /** Incarnations that hold all that was committed. */
  readonly inSync?: readonly string[];
  /** When a pod was promoted last. */
  readonly lastPromotionTime?: string;
  /** Bootstrap, Failover, Switchover or Reset. */
  readonly lastPromotionReason?: string;
  /** The two pods. */
  readonly members?: readonly GateSvrStatusPairMember[];
}

export interface GateSvrStatusPairMember {
  /** Which of the two. */
  readonly name: 'a' | 'b';
  /** Name of the pod. */
  readonly pod?: string;
  /** Node it runs on. */
  readonly node?: string;
  /** primary, backup, standby, or nothing while it is not heard. */
  readonly role?: string;
  /** Whether the gateway calls itself ready. */
  readonly ready?: boolean;
  /** Names one start of the process. */
  readonly incarnation?: string;
  /** Version that the gateway says. */
  readonly version?: string;
  /** Template that the pod was made from. */
  readonly templateHash?: string;
  /** Revision of the set of zones that the gateway has. */
  readonly zonesRevision?: number;
}
