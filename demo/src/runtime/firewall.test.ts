import { expect, it } from 'vitest'
import { dropsByDefault } from './firewall.ts'

it.each([
  ['-P FORWARD ACCEPT\n', false],
  ['-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n', true],
  [
    '-P INPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\n',
    true,
  ],
  ['-P INPUT ACCEPT\n-A INPUT -s 192.0.2.1/32 -j DROP\n', false],
])('sees whether a chain drops by default: %#', (listing, drops) => {
  expect(dropsByDefault(listing)).toBe(drops)
})
