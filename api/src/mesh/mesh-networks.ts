import { z } from 'zod'
import { hostField, ipField, oneOf, portField } from '../fields.ts'
import { canonicalCidr } from '../ip.ts'

/** The registry of everything that the configuration describes: the only one there is. */
export const OWN_REGISTRY = 'Kubernetes'

const endpoints = z
  .strictObject({
    fromCidr: z
      .string()
      .refine(text => canonicalCidr(text) !== undefined, 'must be a range of addresses such as 10.0.0.0/8')
      .optional()
      .describe('Workloads whose address lies in this range; of several ranges, the narrowest counts'),
    fromRegistry: z
      .string()
      .refine(
        name => name === OWN_REGISTRY,
        `must be ${OWN_REGISTRY}: there is no other registry here, as all clusters are one configuration; say by fromCidr, or by the label topology.istio.io/network, what is in the network`,
      )
      .optional()
      .describe(
        `\`${OWN_REGISTRY}\` for all workloads that nothing else puts into a network, which leaves none for the label of the root namespace`,
      ),
  })
  .superRefine(oneOf(['fromCidr', 'fromRegistry'], true))

const gateway = z
  .strictObject({
    address: ipField
      .optional()
      .describe('The IP address at which other networks reach it. Names are not looked up'),
    registryServiceName: hostField
      .optional()
      .describe(
        "The full name of the gateway's Service, whose external addresses are taken: of `status.loadBalancer`, or else `spec.loadBalancerIP`, and `spec.externalIPs`",
      ),
    port: portField.describe('The port at which it takes connections from other networks'),
    locality: z
      .string()
      .max(2048)
      .optional()
      .describe('Where endpoints behind it are that do not say it themselves: `region/zone/subzone`'),
  })
  .superRefine(oneOf(['address', 'registryServiceName'], true))

const network = z.strictObject({
  endpoints: z.array(endpoints).optional().describe('What is in the network'),
  gateways: z.array(gateway).optional().describe('What leads into it from other networks'),
})

/** Istio `MeshNetworks`: the `meshNetworks` entry of the ConfigMap that holds the mesh's settings. */
export const meshNetworksSchema = z
  .strictObject({
    networks: z
      .record(z.string().min(1, 'a network needs a name'), network)
      .default({})
      .describe('The networks of the mesh, by name'),
  })
  .superRefine(({ networks }, context) => {
    const owners = new Map<string, string>()
    for (const [name, { endpoints: listed = [] }] of Object.entries(networks))
      for (const [index, { fromCidr, fromRegistry }] of listed.entries()) {
        const written = fromCidr === undefined ? fromRegistry : (canonicalCidr(fromCidr) ?? fromCidr)
        if (written === undefined) continue
        const owner = owners.get(written) ?? name
        owners.set(written, owner)
        if (owner === name) continue
        const field = fromCidr === undefined ? 'fromRegistry' : 'fromCidr'
        const path = ['networks', name, 'endpoints', index, field]
        context.addIssue({ code: 'custom', path, message: `${written} is in the network ${owner} already` })
      }
  })

/** The networks of a mesh. */
export type MeshNetworks = z.infer<typeof meshNetworksSchema>

/** A mesh that says of no networks. */
export const noMeshNetworks: MeshNetworks = meshNetworksSchema.parse({})
