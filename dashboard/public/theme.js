// Sets the theme before the page is drawn, so that it does not flash. A file of its own: the page's content
// security policy allows no inline scripts.
;(() => {
  const chosen = localStorage.getItem('seine-theme')
  const dark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
