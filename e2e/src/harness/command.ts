import { spawn } from 'node:child_process'

/** How a program ended, and what it wrote. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, with `input` on its stdin. A failing one is no error: look at `code`. */
export function run(command: readonly string[], input = '', cwd?: string): Promise<Ran> {
  const [program = '', ...args] = command
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { timeout: 30_000, ...(cwd === undefined ? {} : { cwd }) })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8')
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8')
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
    // A program that does not read its input may have ended before it is written.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}
