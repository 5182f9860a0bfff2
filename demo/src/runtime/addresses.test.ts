import { expect, it } from 'vitest'
import { AddressPool } from './addresses.ts'

it('hands out the lowest free address and takes addresses back', () => {
  const pool = new AddressPool()
  expect(pool.allocate()).toEqual({ ok: true, value: '10.77.0.10' })
  expect(pool.allocate()).toEqual({ ok: true, value: '10.77.0.11' })
  pool.release('10.77.0.10')
  expect(pool.allocate()).toEqual({ ok: true, value: '10.77.0.10' })
})

it('keeps reserved addresses for the pods that ask for them', () => {
  const pool = new AddressPool(['10.77.0.10'])
  expect(pool.allocate()).toEqual({ ok: true, value: '10.77.0.11' })
  expect(pool.allocate('10.77.0.10')).toEqual({ ok: true, value: '10.77.0.10' })
  expect(pool.allocate('10.77.0.10')).toEqual({ ok: false, error: '10.77.0.10 is taken by another pod' })
})

it.each([
  '10.77.0.1',
  '10.78.0.10',
  '10.77.300.1',
  '10.77.255.255',
  'reviews',
])('refuses %s as a pod address', address => {
  expect(new AddressPool().allocate(address).ok).toBe(false)
})

it('says when the network is full', () => {
  const pool = new AddressPool()
  let last = pool.allocate()
  while (last.ok) last = pool.allocate()
  expect(last.error).toBe('the pod network 10.77.0.0/16 is full')
})
