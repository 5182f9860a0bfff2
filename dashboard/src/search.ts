import { createContext, useContext } from 'react'

/** What is typed into the search field. */
export const SearchText = createContext('')

/** A test for whether a text holds what is searched for. */
export function useFilter(): (text: string) => boolean {
  const wanted = useContext(SearchText).toLowerCase()
  return text => text.toLowerCase().includes(wanted)
}
