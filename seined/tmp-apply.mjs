import { parseYaml, refOf } from '@seine/api'
import { mixerPlugins } from '@seine/mixer-plugins'
import { MeshModel } from '@seine/model'
import { parseProxy, TrafficGenerator } from '@seine/pilot-traffic'

const S = +process.argv[2],
  P = +process.argv[3],
  NS = +process.argv[4] || 1,
  PODS = process.argv[5]
const ns = i => (NS === 1 ? 'load' : `load-${i % NS}`)
const svc = i =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: svc-${i}, namespace: ${ns(i)}}\nspec: {clusterIP: 10.96.${i >> 8}.${i & 255}, selector: {app: svc-${i}}, ports: [{name: http, port: 80, targetPort: 8080}]}\n`
const ep = (i, last) =>
  PODS
    ? [1, last]
        .map(
          (x, k) =>
            `apiVersion: v1\nkind: Pod\nmetadata: {name: svc-${i}-${k}, namespace: ${ns(i)}, labels: {app: svc-${i}, security.istio.io/tlsMode: istio}}\nspec: {serviceAccountName: svc-${i}, containers: [{name: app}]}\nstatus: {phase: Running, podIP: 10.${100 + (i >> 8)}.${i & 255}.${x}}\n`,
        )
        .join('---\n')
    : `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: svc-${i}-a, namespace: ${ns(i)}, labels: {kubernetes.io/service-name: svc-${i}}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.${100 + (i >> 8)}.${i & 255}.1]},{addresses: [10.${100 + (i >> 8)}.${i & 255}.${last}]}]\n`
const vs = (i, w) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: svc-${i}, namespace: ${ns(i)}}\nspec: {hosts: [svc-${i}.${ns(i)}.svc.cluster.local], http: [{route: [{destination: {host: svc-${i}.${ns(i)}.svc.cluster.local}, weight: ${w}},{destination: {host: svc-${i + 1}.${ns(i + 1)}.svc.cluster.local}, weight: ${100 - w}}]}]}\n`
const res = t => {
  const r = parseYaml(t, 'x')
  if (r.problems.length) throw new Error(JSON.stringify(r.problems[0]))
  return r.resources
}
const model = new MeshModel()
const gen = new TrafficGenerator(model.snapshot, mixerPlugins)
let t = performance.now()
const all = []
for (let i = 0; i < S; i++) all.push(...res(svc(i)), ...res(ep(i, 2)))
for (let i = 0; i < 20; i++) all.push(...res(vs(i, 50)))
console.log('parse', performance.now() - t)
t = performance.now()
const u = model.apply({ upserts: all, deletes: [] })
console.log('apply', performance.now() - t)
t = performance.now()
gen.update(u.snapshot, u.changes)
console.log('update', performance.now() - t)
t = performance.now()
for (let n = 0; n < P; n++) {
  const p = parseProxy(
    `sidecar~10.200.${n >> 8}.${n & 255}~c-${n}.${ns(n)}~x`,
    { LABELS: { app: 'c' + n } },
    true,
  ).value
  gen.configurationOf(p)
}
console.log('open', performance.now() - t)
const time = (name, f, n = 40) => {
  const a = [],
    b = [],
    d = []
  let last
  for (let k = 0; k < n; k++) {
    const t0 = performance.now()
    const c = f(k)
    const t1 = performance.now()
    const u = model.apply(c)
    const t2 = performance.now()
    last = gen.update(u.snapshot, u.changes)
    const t3 = performance.now()
    d.push(t1 - t0)
    a.push(t2 - t1)
    b.push(t3 - t2)
  }
  const m = x => x.slice(n / 2).reduce((s, y) => s + y, 0) / (n / 2)
  console.log(
    name,
    'first',
    (a[0] + b[0]).toFixed(1),
    'parse',
    m(d).toFixed(2),
    'apply',
    m(a).toFixed(2),
    'update',
    m(b).toFixed(2),
    [...last].map(([k, v]) => k.split('.').at(-1) + ':' + (v === 'all' ? v : v.size)).join(' '),
  )
}
time('endpoint', k => ({ upserts: res(ep(k % 20, 10 + k)), deletes: [] }))
time('route', k => ({ upserts: res(vs(k % 20, 1 + k)), deletes: [] }))
time('service', k => ({ upserts: [...res(svc(S + k)), ...res(ep(S + k, 2))], deletes: [] }))
time('removal', k => ({ upserts: [], deletes: [...res(svc(S + k)), ...res(ep(S + k, 2))].map(refOf) }))
