import '@fontsource-variable/inter'
import '@fontsource-variable/jetbrains-mono'
import './styles.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Empty } from './components/states.tsx'
import { ClusterResourcePage, ConfigPage, NamespacedResourcePage } from './pages/config.tsx'
import { GraphPage } from './pages/graph.tsx'
import { ProblemsPage } from './pages/problems.tsx'
import { ProxiesPage, ProxyPage } from './pages/proxies.tsx'
import { ServicePage, ServicesPage } from './pages/services.tsx'
import { TracePage, TracesPage } from './pages/traces.tsx'
import { WorkloadPage, WorkloadsPage } from './pages/workloads.tsx'
import { Shell } from './shell.tsx'

const root = createRootRoute({
  component: Shell,
  notFoundComponent: () => <Empty title="There is no such page">Choose one on the left.</Empty>,
})
const routeTree = root.addChildren([
  createRoute({ getParentRoute: () => root, path: '/', component: GraphPage }),
  createRoute({ getParentRoute: () => root, path: '/services', component: ServicesPage }),
  createRoute({ getParentRoute: () => root, path: '/services/$hostname', component: ServicePage }),
  createRoute({ getParentRoute: () => root, path: '/workloads', component: WorkloadsPage }),
  createRoute({ getParentRoute: () => root, path: '/workloads/$namespace/$pod', component: WorkloadPage }),
  createRoute({ getParentRoute: () => root, path: '/traces', component: TracesPage }),
  createRoute({ getParentRoute: () => root, path: '/traces/$id', component: TracePage }),
  createRoute({ getParentRoute: () => root, path: '/proxies', component: ProxiesPage }),
  createRoute({ getParentRoute: () => root, path: '/proxies/$id', component: ProxyPage }),
  createRoute({ getParentRoute: () => root, path: '/config', component: ConfigPage }),
  createRoute({
    getParentRoute: () => root,
    path: '/config/$kind/$namespace/$name',
    component: NamespacedResourcePage,
  }),
  createRoute({ getParentRoute: () => root, path: '/config/$kind/$name', component: ClusterResourcePage }),
  createRoute({ getParentRoute: () => root, path: '/problems', component: ProblemsPage }),
])
// The hub may well be on this machine: that the browser thinks it is offline says nothing.
const queries = new QueryClient({ defaultOptions: { queries: { networkMode: 'always' } } })
const router = createRouter({ routeTree })

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

const element = document.getElementById('root')
if (!element) throw new Error('the page has no element with the id "root"')
createRoot(element).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
