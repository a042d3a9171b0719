"""Three engines behind one interface: Chromium by Playwright, Firefox by WebDriver BiDi, WebKit by WebDriver."""
