import { spawn } from 'node:child_process'
import { err, ok, type Result } from '@seine/kit'

/** Administrators' tools lie in sbin folders that a user's PATH may lack. */
export const TOOL_PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`

/** Runs a program to its end. The error says the command and what it wrote to stderr. */
export function run(command: string, args: readonly string[], input = ''): Promise<Result<string, string>> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, PATH: TOOL_PATH },
      detached: true, // Ctrl-C is no reason to leave a command half done.
    })
    const out: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
    child.on('error', failure => resolve(err(`${command}: ${failure.message}`)))
    child.on('close', code => {
      if (code === 0) resolve(ok(Buffer.concat(out).toString('utf8')))
      else
        resolve(
          err(`${command} ${args.join(' ')}: exit ${code}: ${Buffer.concat(errors).toString('utf8').trim()}`),
        )
    })
    // A program that ends without reading its input closes the pipe first; its exit code tells.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}
