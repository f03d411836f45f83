import { loadImage } from '../images.ts';
import type { Namespace } from '../lib/kubectl.ts';
import { restrictedPod } from '../lib/pods.ts';
import { type LoadSettings, type LoadState, loadPort } from './load-settings.ts';

const name = 'load';
const readyDeadlineSeconds = 180;

/** Clients and zones in a pod, and their ledger. */
export class LoadPod {
  #namespace: Namespace;

  private constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  /**
   * Resolves when every client is connected; nothing flows yet.
   * @param files a volume with ca.crt, zone.crt, zone.key and login.key
   * @throws CommandError when that takes too long
   */
  static async start(namespace: Namespace, settings: LoadSettings, files: object): Promise<LoadPod> {
    const container = {
      image: loadImage,
      env: [
        { name: 'LOAD_SETTINGS', value: JSON.stringify(settings) },
        { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      ],
      readinessProbe: { httpGet: { path: '/ready', port: loadPort }, periodSeconds: 1 },
      volumeMounts: [{ name: 'files', mountPath: '/etc/gatesvr', readOnly: true }],
    };
    const volumes = [{ name: 'files', ...files }];
    await namespace.apply(restrictedPod(name, [container], { restartPolicy: 'Never', volumes }));
    await namespace.kubectl(['wait', '--for=condition=Ready', `pod/${name}`, `--timeout=${readyDeadlineSeconds}s`], {
      deadlineMs: 2 * readyDeadlineSeconds * 1000,
    });
    return new LoadPod(namespace);
  }

  /** Pushes and requests flow, and the time without service is measured from now. */
  async run(): Promise<void> {
    await this.#ask('run');
    await this.watch();
  }

  async watch(): Promise<void> {
    await this.#ask('watch');
  }

  async state(): Promise<LoadState> {
    return JSON.parse(await this.#ask('state')) as LoadState;
  }

  /** No new pushes and requests; waits until what was accepted is delivered. @throws CommandError with what is missing */
  async settle(): Promise<LoadState> {
    await this.#ask('quiet');
    await this.#ask('delivered');
    return this.state();
  }

  /** Through the API server: the one way to a pod that there is on every cluster. */
  #ask(path: string): Promise<string> {
    const url = `/api/v1/namespaces/${this.#namespace.name}/pods/${name}:${loadPort}/proxy/${path}`;
    return this.#namespace.kubectl(['get', '--raw', url]);
  }
}
