/**
 * Checks the syntax of regular expressions as RE2 has it, which is what Envoy evaluates. RE2 lacks look-around
 * and back-references, and knows escapes and flags that JavaScript does not, so that JavaScript's own parser
 * can't tell.
 */

/** RE2's limit for a repetition, and for nested ones multiplied. */
const MAX_REPEAT = 1000
/** Well below the program size at which Envoy refuses an expression (32,768 instructions, as the agent sets it). */
const MAX_SIZE = 20_000
/** A class of Unicode characters takes about so many instructions, because RE2 works on UTF-8. */
const CLASS_SIZE = 12
const UNICODE_CLASS_SIZE = 400

const POSIX_CLASSES = new Set([
  'alnum',
  'alpha',
  'ascii',
  'blank',
  'cntrl',
  'digit',
  'graph',
  'lower',
  'print',
  'punct',
  'space',
  'upper',
  'word',
  'xdigit',
])

class SyntaxProblem extends Error {}

/** What a part of an expression costs: its instructions, and the repetitions that are multiplied in it. */
interface Part {
  readonly size: number
  readonly repeats: number
}

/** What RE2 would object to in a regular expression, or undefined when it takes it. */
export function re2Problem(pattern: string): string | undefined {
  try {
    const { size } = new Parser(pattern).parse()
    return size > MAX_SIZE ? 'is too large once its repetitions are written out' : undefined
  } catch (problem) {
    if (problem instanceof SyntaxProblem) return problem.message
    throw problem
  }
}

class Parser {
  readonly #text: readonly string[]
  #at = 0

  constructor(pattern: string) {
    this.#text = [...pattern]
  }

  parse(): Part {
    const part = this.#alternation()
    if (this.#at < this.#text.length) fail('there is a ) without its (')
    return part
  }

  #peek(offset = 0): string | undefined {
    return this.#text[this.#at + offset]
  }

  #take(): string {
    const char = this.#text[this.#at++]
    return char ?? fail('it ends too early')
  }

  #accept(text: string): boolean {
    const found = this.#text.slice(this.#at, this.#at + text.length).join('') === text
    if (found) this.#at += text.length
    return found
  }

  #alternation(): Part {
    let part = this.#sequence()
    while (this.#accept('|')) part = add(part, this.#sequence())
    return part
  }

  #sequence(): Part {
    let part: Part = { size: 1, repeats: 1 }
    let last: Part | undefined
    for (;;) {
      const next = this.#peek()
      if (next === undefined || next === '|' || next === ')') return last ? add(part, last) : part
      const repeated = this.#repetition(last)
      if (repeated) {
        part = add(part, repeated)
        last = undefined
        // RE2 refuses a repetition of a repetition: what PCRE means by a++ it does not have.
        if (this.#startsRepetition()) fail('a repetition follows a repetition')
        continue
      }
      if (last) part = add(part, last)
      last = this.#atom()
    }
  }

  #startsRepetition(): boolean {
    const next = this.#peek()
    return next === '*' || next === '+' || next === '?' || this.#counts() !== undefined
  }

  /** The bounds of a `{n,m}` that stands here; anything else in braces is plain text. */
  #counts(): { min: number; max: number; length: number } | undefined {
    const found = /^\{(\d+)(,(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 16).join(''))
    if (!found) return undefined
    const min = Number(found[1])
    const max = found[2] === undefined ? min : found[3] ? Number(found[3]) : min
    return { min, max: Math.max(max, found[3] ? 0 : min), length: found[0].length }
  }

  #repetition(operand: Part | undefined): Part | undefined {
    const counts = this.#counts()
    if (!counts && !this.#startsRepetition()) return undefined
    if (!operand) fail('a repetition has nothing to repeat')
    if (!counts) {
      this.#at++
      this.#accept('?')
      return { size: operand.size + 2, repeats: operand.repeats }
    }
    const { min, max, length } = counts
    const repeats = operand.repeats * Math.max(min, max, 1)
    if (max < min || repeats > MAX_REPEAT) fail(`repetitions go up to ${MAX_REPEAT}`)
    this.#at += length
    this.#accept('?')
    return { size: operand.size * Math.max(max, 1) + 2, repeats }
  }

  #atom(): Part {
    const char = this.#take()
    if (char === '(') return this.#group()
    if (char === '[') return this.#class()
    if (char === '\\') return this.#escape()
    if (char === '.') return part(CLASS_SIZE)
    return part(1)
  }

  #group(): Part {
    if (this.#accept('?')) {
      if (this.#accept('<=') || this.#accept('<!')) fail('look-around does not exist')
      if (this.#accept('P<') || this.#accept('<')) {
        const name = this.#until('>')
        if (!/^\w+$/.test(name)) fail('the name of a group is letters, digits and _')
      } else if (this.#flags() === ')') return part(1)
    }
    const inner = this.#alternation()
    if (!this.#accept(')')) fail('a ( is not closed')
    return { size: inner.size + 2, repeats: inner.repeats }
  }

  /** Takes `i:`, `i-s:` or `i)`. @returns the character that ended it. */
  #flags(): string {
    if (/[=!]/.test(this.#peek() ?? '')) fail('look-around does not exist')
    const flags = /^([imsU]*(?:-[imsU]+)?)([:)])/.exec(this.#text.slice(this.#at, this.#at + 16).join(''))
    if (!flags) fail('(? begins a group with flags (i, m, s, U) or a name')
    this.#at += flags[0].length
    if (flags[0] === ')') fail('(?) is empty')
    return flags[2] ?? ''
  }

  #until(end: string): string {
    const start = this.#at
    while (this.#peek() !== end) this.#take()
    this.#at++
    return this.#text.slice(start, this.#at - 1).join('')
  }

  #escape(): Part {
    const char = this.#take()
    if ('AzbBdDsSwWC'.includes(char)) return part(CLASS_SIZE)
    if (char === 'Q') return this.#quoted()
    if (char === 'E') return part(0)
    return this.#characterEscape(char)
  }

  /** `\Q...\E`, to the end when nothing ends it. */
  #quoted(): Part {
    let size = 0
    while (this.#peek() !== undefined && !this.#accept('\\E')) {
      this.#take()
      size++
    }
    return part(size)
  }

  /** Escapes that stand for characters, within a class and outside of one. */
  #characterEscape(char: string): Part {
    if (char === 'p' || char === 'P') return this.#unicodeClass()
    if (char === 'x') return this.#hexadecimal()
    if ('afnrtv'.includes(char)) return part(1)
    if (char === '0' || (/[1-7]/.test(char) && /[0-7]/.test(this.#peek() ?? ''))) {
      for (let digits = 0; digits < 2 && /[0-7]/.test(this.#peek() ?? ''); digits++) this.#take()
      return part(1)
    }
    if (/[1-9]/.test(char)) fail('back-references do not exist')
    // Punctuation stands for itself.
    if (/^[\x21-\x7e]$/.test(char) && !/[a-zA-Z0-9]/.test(char)) return part(1)
    return fail(`there is no escape \\${char}`)
  }

  #hexadecimal(): Part {
    const digits = this.#accept('{') ? this.#until('}') : this.#take() + this.#take()
    const valid = /^[0-9a-fA-F]+$/.test(digits) && Number.parseInt(digits, 16) <= 0x10ffff
    return valid ? part(1) : fail('\\x takes two hexadecimal digits, or more in braces')
  }

  #unicodeClass(): Part {
    const written = this.#accept('{') ? this.#until('}') : this.#take()
    const name = written.replace(/^\^/, '')
    return isUnicodeClass(name) ? part(UNICODE_CLASS_SIZE) : fail(`there is no class of characters ${name}`)
  }

  #class(): Part {
    this.#accept('^')
    let size = CLASS_SIZE
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#peek() === undefined) fail('a [ is not closed')
      size += this.#classItem()
    }
    this.#at++
    return part(size)
  }

  /** One character, range or class within brackets. */
  #classItem(): number {
    if (this.#accept('[:')) {
      const name = this.#until(':').replace(/^\^/, '')
      if (!this.#accept(']') || !POSIX_CLASSES.has(name)) fail(`there is no class of characters [:${name}:]`)
      return CLASS_SIZE
    }
    if (this.#peek() === '\\' && 'dDsSwWpP'.includes(this.#peek(1) ?? '')) {
      this.#at++
      const char = this.#take()
      return char === 'p' || char === 'P' ? this.#unicodeClass().size : CLASS_SIZE
    }
    const low = this.#classCharacter()
    if (this.#peek() !== '-' || this.#peek(1) === ']' || this.#peek(1) === undefined) return 1
    this.#at++
    const high = this.#classCharacter()
    if (high < low) fail('a range of characters goes the wrong way')
    return 1
  }

  /** The character's number; 0 for one that was written as an escape whose value does not matter. */
  #classCharacter(): number {
    const start = this.#at
    const char = this.#take()
    if (char !== '\\') return char.codePointAt(0) ?? 0
    const escaped = this.#take()
    this.#characterEscape(escaped)
    return valueOf(this.#text.slice(start + 1, this.#at).join(''))
  }
}

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }

/** The character that an escape stands for, written without its backslash. */
function valueOf(escape: string): number {
  if (escape.startsWith('x')) return Number.parseInt(escape.replace(/[x{}]/g, ''), 16)
  if (/^[0-7]+$/.test(escape)) return Number.parseInt(escape, 8)
  return CONTROL[escape] ?? escape.codePointAt(0) ?? 0
}

function part(size: number): Part {
  return { size, repeats: 1 }
}

function add(a: Part, b: Part): Part {
  return { size: a.size + b.size, repeats: Math.max(a.repeats, b.repeats) }
}

function fail(message: string): never {
  throw new SyntaxProblem(message)
}

/** A general category or a script of Unicode, by the names that RE2 and JavaScript share. */
function isUnicodeClass(name: string): boolean {
  if (name === 'Any') return true
  if (!/^\w+$/.test(name)) return false
  if (name.length <= 2)
    return /^(C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?)$/.test(name)
  try {
    new RegExp(`\\p{Script=${name}}`, 'u')
    return true
  } catch {
    return false
  }
}
