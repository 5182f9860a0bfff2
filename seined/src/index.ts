export { Seined, type SeinedOptions } from './seined.ts'
