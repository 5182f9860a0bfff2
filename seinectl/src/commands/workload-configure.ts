import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isIpAddress, type MeshConfig, type WorkloadGroup } from '@seine/api'
import { machineSetup } from '@seine/injector'
import { errorMessage, formatProblem } from '@seine/kit'
import { MeshModel } from '@seine/model'
import { loadFiles } from '@seine/source-files'
import { type FolderFlags, meshFolders } from '../config/folders.ts'
import { printError } from '../output/message.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `workload-configure`. */
export interface WorkloadConfigureFlags extends FolderFlags {
  readonly namespace?: string
  readonly address: string
  readonly controlPlane: string
  readonly network?: string
  readonly proxyUid: number
  readonly outputDir: string
}

/** Labels by which a certificate says what application a workload is. */
const NAMING_LABELS = [
  'service.istio.io/canonical-name',
  'app',
  'service.istio.io/canonical-revision',
  'version',
] as const

/** Writes what a machine needs to join the mesh by a WorkloadGroup: the environment of its agent, and its capture rules. */
export async function workloadConfigure(
  terminal: Terminal,
  name: string,
  flags: WorkloadConfigureFlags,
): Promise<ExitCode> {
  const { address, outputDir, proxyUid } = flags
  if (!isIpAddress(address)) {
    printError(terminal, `--address must be an IP address, not ${address}`)
    return ExitCode.usage
  }
  const folders = await meshFolders(flags, terminal)
  if (!folders.ok) {
    printError(terminal, folders.error)
    return ExitCode.failed
  }
  const namespace = flags.namespace ?? 'default'
  const { resources } = await loadFiles(folders.value.world)
  const group = resources.find(
    one => one.kind === 'WorkloadGroup' && one.metadata.namespace === namespace && one.metadata.name === name,
  )
  if (group?.kind !== 'WorkloadGroup') {
    printError(terminal, `WorkloadGroup "${name}" not found in namespace ${namespace}`)
    return ExitCode.failed
  }
  const { config } = new MeshModel().apply({ upserts: resources, deletes: [] }).snapshot
  const setup = machineSetup(
    {
      ...group.metadata,
      labels: { ...group.spec.template.labels, ...group.spec.metadata?.labels },
      annotations: group.spec.metadata?.annotations ?? {},
    },
    proxyUid,
    config,
    resources.filter(one => one.kind === 'ProxyConfig'),
  )
  if (!setup.ok) {
    for (const problem of setup.error) printError(terminal, formatProblem(problem))
    return ExitCode.failed
  }
  const files = {
    'agent.env': environment(group, config, setup.value.environment, flags),
    'capture.rules': setup.value.rules,
  }
  try {
    await mkdir(outputDir, { recursive: true })
    for (const [file, text] of Object.entries(files)) {
      await writeFile(join(outputDir, file), text)
      await chmod(join(outputDir, file), 0o644)
    }
  } catch (failure) {
    printError(terminal, `can't write to ${outputDir}: ${errorMessage(failure)}`)
    return ExitCode.failed
  }
  terminal.out(
    `${Object.keys(files)
      .map(file => join(outputDir, file))
      .join('\n')}\n`,
  )
  return ExitCode.ok
}

/** Lines of `NAME='value'`, which a shell and systemd read alike. */
function environment(
  { metadata, spec }: WorkloadGroup,
  { trustDomain }: MeshConfig,
  ofProxy: Readonly<Record<string, string>>,
  { address, controlPlane, network }: WorkloadConfigureFlags,
): string {
  const labels: Readonly<Record<string, string>> = { ...spec.template.labels, ...spec.metadata?.labels }
  const naming = NAMING_LABELS.flatMap(label => {
    const value = labels[label]
    return value === undefined ? [] : [[label, value] as const]
  })
  const [host] = controlPlane.split(/:\d+$/)
  const variables = {
    ISTIO_META_AUTO_REGISTER_GROUP: metadata.name,
    ...(network === undefined ? {} : { ISTIO_META_NETWORK: network }),
    POD_NAMESPACE: metadata.namespace,
    SERVICE_ACCOUNT: spec.template.serviceAccount || 'default',
    INSTANCE_IP: address,
    LABELS: JSON.stringify(Object.fromEntries(naming)),
    TRUST_DOMAIN: trustDomain,
    CA_ADDR: controlPlane,
    XDS_ADDR: controlPlane,
    OTLP_ADDR: `${host}:4317`,
    TOKEN_FILE: '/var/run/secrets/tokens/istio-token',
    ROOT_CERT_FILE: '/etc/certs/root-cert.pem',
    RUN_DIR: '/run/seine',
    ...ofProxy,
  }
  return Object.entries(variables)
    .map(([name, value]) => `${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('')
}
