export {
  type DocumentIdentity,
  hasContent,
  identify,
  type SourceDocument,
  splitDocuments,
} from './documents.ts'
export { FileSource, type FileSourceOptions, type OnChange } from './file-source.ts'
export {
  type FileText,
  type LoadedFiles,
  type LoadOptions,
  loadFiles,
  readTexts,
  STDIN,
} from './load-files.ts'
export { isConfigFile, MAX_FILE_BYTES } from './read.ts'
