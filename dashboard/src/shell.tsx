import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import {
  Boxes,
  CircleAlert,
  FileText,
  GitFork,
  Keyboard,
  Layers,
  Moon,
  Network,
  Radio,
  Search,
  Sun,
} from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useProblems, useVersion } from './api.ts'
import { clockTime } from './format.ts'
import { useLiveUpdates } from './live.ts'
import { SearchText } from './search.ts'
import { useTheme } from './theme.ts'

const PAGES = [
  { to: '/', key: 'g', name: 'Graph', id: 'graph', icon: Network },
  { to: '/services', key: 's', name: 'Services', id: 'services', icon: Layers },
  { to: '/workloads', key: 'w', name: 'Workloads', id: 'workloads', icon: Boxes },
  { to: '/traces', key: 't', name: 'Traces', id: 'traces', icon: GitFork },
  { to: '/proxies', key: 'p', name: 'Proxies', id: 'proxies', icon: Radio },
  { to: '/config', key: 'c', name: 'Configuration', id: 'config', icon: FileText },
  { to: '/problems', key: 'x', name: 'Problems', id: 'problems', icon: CircleAlert },
] as const

/** What stands around every page: navigation, search, theme, and whether the hub answers. */
export function Shell() {
  const [text, setText] = useState('')
  const [help, setHelp] = useState(false)
  const [theme, toggleTheme] = useTheme()
  const search = useRef<HTMLInputElement>(null)
  const path = useRouterState({ select: state => state.location.pathname })
  // A search belongs to the list it was typed for.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path is the trigger
  useEffect(() => setText(''), [path])
  useLiveUpdates()
  useKeys(search, () => setHelp(shown => !shown))
  return (
    <SearchText.Provider value={text}>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <div className="shell">
        <nav className="nav" aria-label="Pages">
          <div className="brand">
            <img src="/seine.svg" alt="" width={26} height={26} />
            <span>Seine</span>
          </div>
          {PAGES.map(({ to, name, id, icon: Icon }) => (
            <Link
              key={to}
              to={to}
              data-testid={`nav-${id}`}
              activeOptions={{ exact: to === '/' }}
              className="nav-link"
              activeProps={{ className: 'nav-link active', 'aria-current': 'page' }}
            >
              <Icon size={16} strokeWidth={1.75} aria-hidden />
              <span>{name}</span>
              {id === 'problems' ? <ProblemCount /> : null}
            </Link>
          ))}
          <div className="nav-end">
            <button
              type="button"
              className="icon-button"
              onClick={() => setHelp(true)}
              aria-label="Keyboard shortcuts"
              title="Keyboard shortcuts (?)"
            >
              <Keyboard size={16} />
            </button>
            <button
              type="button"
              className="icon-button"
              data-testid="theme-toggle"
              onClick={toggleTheme}
              aria-label={`Use the ${theme === 'dark' ? 'light' : 'dark'} theme`}
            >
              {theme === 'dark' ? <Sun size={16} /> : <Moon size={16} />}
            </button>
          </div>
        </nav>
        <div className="column">
          <div className="topbar">
            <label className="search">
              <Search size={14} aria-hidden />
              <input
                ref={search}
                type="search"
                value={text}
                onChange={event => setText(event.target.value)}
                placeholder="Filter this page"
                aria-label="Filter this page"
              />
              <kbd>/</kbd>
            </label>
            <Status />
          </div>
          <Unreachable />
          <main id="main" tabIndex={-1}>
            <Outlet />
          </main>
        </div>
      </div>
      {help ? <Help onClose={() => setHelp(false)} /> : null}
    </SearchText.Provider>
  )
}

function ProblemCount() {
  const { data } = useProblems()
  const errors = data?.filter(problem => problem.severity === 'error').length ?? 0
  return errors > 0 ? (
    <span className="count" data-testid="problem-count">
      {errors}
      <span className="sr-only"> errors</span>
    </span>
  ) : null
}

function Status() {
  const { data, isError, dataUpdatedAt } = useVersion()
  if (!data) return <span className="status quiet">{isError ? 'no connection' : 'connecting…'}</span>
  return (
    <span className="status">
      <span className={`live-dot ${isError ? 'bad' : ''}`} aria-hidden />
      <span className="mono quiet">
        {data.trustDomain} · Envoy {data.envoy} · {clockTime(dataUpdatedAt)}
      </span>
    </span>
  )
}

/** What is on the page stays there while the hub is away; it says how old it is. */
function Unreachable() {
  const { isError, dataUpdatedAt, error } = useVersion()
  if (!isError) return null
  return (
    <div className="banner" role="alert" data-testid="unreachable">
      The control plane can't be reached
      {dataUpdatedAt > 0 ? `: this is what was known at ${clockTime(dataUpdatedAt)}` : ''}.{' '}
      <span className="quiet">{error?.message}</span> The proxies keep serving with what they have.
    </div>
  )
}

function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} className="help" onClose={onClose}>
      <h2>Keyboard</h2>
      <dl>
        <dt>
          <kbd>/</kbd>
        </dt>
        <dd>filter the page</dd>
        {PAGES.map(({ key, name }) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{name}</dd>
          </div>
        ))}
        <dt>
          <kbd>↑</kbd> <kbd>↓</kbd>
        </dt>
        <dd>
          walk through a table, <kbd>Enter</kbd> opens
        </dd>
        <dt>
          <kbd>?</kbd>
        </dt>
        <dd>this help</dd>
      </dl>
      <form method="dialog">
        <button type="submit" className="button">
          Close
        </button>
      </form>
    </dialog>
  )
}

/** `/`, `?`, and `g` followed by a page's letter; not while something is typed. */
function useKeys(search: React.RefObject<HTMLInputElement | null>, onHelp: () => void): void {
  const navigate = useNavigate()
  const pending = useRef(false)
  const help = useRef(onHelp)
  help.current = onHelp
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
      if (typing && event.key === 'Escape') event.target instanceof HTMLElement && event.target.blur()
      if (typing || event.metaKey || event.ctrlKey || event.altKey) return
      const page = pending.current ? PAGES.find(({ key }) => key === event.key) : undefined
      pending.current = event.key === 'g' && !pending.current
      if (page) void navigate({ to: page.to })
      else if (event.key === '/') {
        event.preventDefault()
        search.current?.focus()
      } else if (event.key === '?') help.current()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [navigate, search])
}
