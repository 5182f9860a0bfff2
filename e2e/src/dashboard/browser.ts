import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Starts the system's Chromium without a window. Throws with what to install where there is none. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = PROGRAMS.find(existsSync)
  if (executablePath === undefined)
    throw new Error('the dashboard is tested in Chromium: install the package chromium (tools/setup.sh test)')
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
