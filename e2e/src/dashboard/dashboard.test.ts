import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Ask, describeMesh, eventually, ROOT, run } from '../harness/index.ts'
import { launchBrowser } from './browser.ts'

const WAIT_MS = 30_000

describeMesh('the dashboard in a browser', mesh => {
  let browser: Browser
  let page: Page
  let complaints: string[] = []

  async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
    context.setDefaultTimeout(WAIT_MS)
    page = await context.newPage()
    complaints = []
    page.on('pageerror', error => complaints.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    await page.goto(`${mesh().hub.url}${path}`)
    return page
  }

  /** The texts of all elements of a test id, once there are some. */
  async function texts(id: string): Promise<string[]> {
    await page.getByTestId(id).first().waitFor()
    return page.getByTestId(id).allInnerTexts()
  }

  beforeAll(async () => {
    browser = await launchBrowser()
    // Something to see, until the hub has measured it: it reads the sidecars every few seconds.
    await eventually(
      async () => {
        await mesh()
          .pod('client')
          .http('http://front/', { count: 20, headers: { [Ask.forward]: 'http://middle/ http://echo/' } })
        const graph = await mesh().hub.get<{ edges: { source: string; traffic: { rate: number } }[] }>(
          '/graph',
        )
        const active = graph.edges.filter(({ traffic }) => traffic.rate > 0)
        if (active.length < 2) throw new Error(`${active.length} connections measured`)
      },
      { timeoutMs: 50_000 },
    )
  }, 60_000)

  afterEach(async () => {
    await page?.context().close()
  })

  afterAll(async () => {
    await browser?.close()
  })

  test('the graph shows who calls whom, with locks that were measured', async () => {
    await open('/')
    await page.getByTestId('graph-node-front').waitFor()
    const edge = page.getByTestId('graph-edge-client-front')
    await edge.waitFor()
    expect(await edge.innerText()).toMatch(/\/s/)
    expect(await edge.locator('[title^="mutual TLS, measured"]').count()).toBe(1)
    expect(complaints).toEqual([])
  })

  test('a node opens a panel with its figures and leads to its service', async () => {
    await open('/')
    await page.getByTestId('graph-node-front').click()
    const panel = page.getByTestId('graph-panel')
    await panel.waitFor()
    expect(await panel.innerText()).toContain('Called by')
    await panel.getByRole('link', { name: 'Open service' }).click()
    await page.waitForURL('**/services/front.shop.svc.cluster.local')
    await page.getByRole('heading', { name: 'front', exact: true }).waitFor()
    expect(await page.locator('main').innerText()).toContain('front.shop.svc.cluster.local')
  })

  test('a service names the file and line of what shapes it', async () => {
    await open('/services/front.shop.svc.cluster.local')
    const place = page.locator('.config-list .place').first()
    await place.waitFor()
    expect(await place.innerText()).toMatch(/front\.yaml:\d+$/)
    await page.locator('.config-list summary').first().click()
    expect(await page.locator('.config-list pre').first().innerText()).toContain('ports:')
  })

  test('a workload shows the identity and the end of its certificate', async () => {
    const front = mesh().pod('front')
    await open(`/workloads/${front.namespace}/${front.name}`)
    await page.getByTestId('identity').waitFor()
    expect(await page.getByTestId('identity').innerText()).toBe('spiffe://cluster.local/ns/shop/sa/front')
    expect(await page.locator('main').innerText()).toMatch(/Certificate ends\s+in \d+ (h|min)/)
  })

  test('all proxies and what each has acknowledged', async () => {
    await open('/proxies')
    for (const pod of mesh().meshedPods) await page.getByText(pod.workload, { exact: true }).first().waitFor()
    const rows = page.locator('tbody tr')
    expect(await rows.count()).toBe(mesh().meshedPods.length)
    expect(await rows.first().innerText()).toContain('synced')
    await rows.first().click()
    await page.getByTestId('ack-CDS').waitFor()
    await page.getByRole('tab', { name: /clusters/ }).click()
    await page.getByText('PassthroughCluster', { exact: true }).waitFor()
  })

  test('a trace as a waterfall, from the first caller to the last', async () => {
    await open('/traces')
    await texts('trace-row')
    await page.getByTestId('trace-row').filter({ hasText: 'client' }).first().click()
    await page.getByTestId('waterfall').waitFor()
    expect(await page.getByTestId('waterfall').locator('li').count()).toBeGreaterThan(3)
  })

  test('a mistake appears with its file, line and field, and goes when it is mended', async () => {
    await open('/problems')
    await page.getByTestId('empty').waitFor()
    const broken = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: lost, namespace: shop}
spec:
  hosts: [front]
  http:
    - route:
        - destination: {host: nowhere.example}
`
    try {
      await mesh().apply('dashboard-broken', broken, { broken: true })
      const [row = ''] = await texts('problems-row')
      expect(row).toContain('dashboard-broken.yaml:8:25')
      expect(row).toContain('spec.http[0].route[0].destination.host')
      await page.getByTestId('problem-count').waitFor()
    } finally {
      await mesh().remove('dashboard-broken')
    }
    await page.getByTestId('empty').waitFor()
  })

  test('what analysis finds is listed, leads to its object, and stands in seinectl too', async () => {
    const unreachable = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: twice, namespace: shop}
spec:
  hosts: [front]
  http:
    - route: [{destination: {host: front}}]
    - route: [{destination: {host: front}}]
`
    try {
      await mesh().apply('dashboard-analysis', unreachable)
      await open('/problems')
      const row = page.getByTestId('problems-row').filter({ hasText: 'IST0130' })
      await row.waitFor()
      expect(await row.innerText()).toContain('dashboard-analysis.yaml:8')
      await row.getByRole('link', { name: 'VirtualService shop/twice' }).click()
      await page.getByTestId('resource-yaml').waitFor()
      expect(await page.locator('main').innerText()).toContain('IST0130')
      await page.getByRole('link', { name: 'front.shop.svc.cluster.local' }).waitFor()
      await page.goto(`${mesh().hub.url}/config`)
      await page.getByTestId('config-row-VirtualService-twice').getByText('1 problem').waitFor()
      expect(complaints).toEqual([])
      const analyzed = await run(['npx', '--no-install', 'seinectl', 'analyze', '-o', 'json'], '', ROOT)
      expect(JSON.parse(analyzed.stdout)).toContainEqual(
        expect.objectContaining({
          code: 'IST0130',
          resource: 'VirtualService shop/twice',
          path: 'spec.http[1]',
        }),
      )
    } finally {
      await mesh().remove('dashboard-analysis')
    }
  })

  test('the theme follows the system, can be changed, and is kept', async () => {
    await open('/services', { colorScheme: 'dark' })
    const theme = () => page.evaluate(() => document.documentElement.dataset['theme'])
    expect(await theme()).toBe('dark')
    await page.getByTestId('theme-toggle').click()
    expect(await theme()).toBe('light')
    await page.reload()
    await page.getByTestId('theme-toggle').waitFor()
    expect(await theme()).toBe('light')
  })

  test('pages and rows are reached by keyboard', async () => {
    await open('/')
    await page.getByTestId('nav-services').waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('s')
    await page.waitForURL('**/services')
    await page.getByTestId('services-row-front').focus()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/services/front.shop.svc.cluster.local')
    await page.keyboard.press('?')
    await page.getByRole('heading', { name: 'Keyboard' }).waitFor()
  })

  test('a narrow screen scrolls only down', async () => {
    for (const path of ['/', '/services', '/workloads', '/proxies', '/traces', '/config', '/problems']) {
      await open(path, { viewport: { width: 390, height: 800 } })
      await page.locator('main h1').waitFor()
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      )
      expect(overflow, path).toBe(0)
      await page.context().close()
    }
  })

  test('while the hub does not answer, the page says so and keeps what it knew', async () => {
    await open('/services')
    await page.getByTestId('services-row-front').waitFor()
    await page.context().setOffline(true)
    await page.getByTestId('unreachable').waitFor()
    expect(await page.getByTestId('services-row-front').isVisible()).toBe(true)
    await page.context().setOffline(false)
    await page.getByTestId('unreachable').waitFor({ state: 'detached' })
  })

  test('a page that is not there, and a service that is not there, say so', async () => {
    await open('/nowhere')
    await page.getByText('There is no such page').waitFor()
    await page.goto(`${mesh().hub.url}/services/nobody.shop.svc.cluster.local`)
    await page.getByTestId('failure').waitFor()
    expect(await page.getByTestId('failure').innerText()).toContain('nobody.shop.svc.cluster.local')
  })
})
