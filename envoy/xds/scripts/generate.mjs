// Makes gen/ from the Envoy binary: a module of messages per proto file, and one that holds all
// descriptors for reading and printing `Any`. Does nothing when gen/ is already of that release.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt'
import { ENVOY_VERSION, ensureEnvoy } from '@seine/envoy-binary'
import { embeddedDescriptors, withImports } from './descriptors.mjs'
import { istioCa } from './istio-ca.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const target = join(here, '../gen')
const plugin = createRequire(import.meta.url).resolve('@bufbuild/protoc-gen-es/bin/protoc-gen-es')
const pluginVersion = createRequire(import.meta.url)('@bufbuild/protoc-gen-es/package.json').version
const stamp = `envoy ${ENVOY_VERSION}, protoc-gen-es ${pluginVersion}, layout 1\n`

if (!upToDate()) await generate()

function upToDate() {
  const file = join(target, 'STAMP')
  return existsSync(file) && readFileSync(file, 'utf8') === stamp
}

async function generate() {
  const envoy = await ensureEnvoy(step => console.error(`  ${step}`))
  if (!envoy.ok) {
    console.error(`error: ${envoy.error.message}`)
    process.exit(1)
  }
  console.error(`  generating messages from Envoy ${envoy.value.version}`)
  const found = embeddedDescriptors(readFileSync(envoy.value.path))
  found.set(istioCa.name, istioCa)
  const files = withImports(found, [...found.keys()].sort())
  for (const file of files) file.messageType.forEach(nameFields)

  rmSync(target, { recursive: true, force: true })
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: files.map(file => file.name).filter(name => !name.startsWith('google/protobuf/')),
    parameter: 'target=js+dts,import_extension=js',
    protoFile: files,
  })
  const input = toBinary(CodeGeneratorRequestSchema, request)
  const output = execFileSync(process.execPath, [plugin], { input, maxBuffer: 1 << 30 })
  const response = fromBinary(CodeGeneratorResponseSchema, output)
  if (response.error) throw new Error(response.error)
  for (const file of response.file) write(file.name, file.content)

  const set = Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })))
  write('descriptors.js', `export const descriptors = ${JSON.stringify(set.toString('base64'))}\n`)
  write(
    'descriptors.d.ts',
    '/** A google.protobuf.FileDescriptorSet, base64. */\nexport declare const descriptors: string\n',
  )
  write('STAMP', stamp)
}

/** C++ leaves json_name out of the descriptors it embeds; it is the camelCase of the name. */
function nameFields(message) {
  for (const field of message.field)
    field.jsonName ||= field.name.replace(/_+([a-z0-9])/g, (_, letter) => letter.toUpperCase())
  message.nestedType.forEach(nameFields)
}

function write(name, content) {
  const file = join(target, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}
