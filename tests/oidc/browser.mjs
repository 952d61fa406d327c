// A person with a browser: node browser.mjs CHROMIUM URL USER LOGOUT_PATH
// Opens the page, logs in, opens it again, logs out, opens it once more; prints what was seen as JSON.
import { chromium } from 'playwright-core'

const [executablePath, url, user, logoutPath] = process.argv.slice(2)
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
try {
  const context = await browser.newContext()
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  await page.goto(url)
  const asked = page.url()
  await page.fill('input[name=login]', user)
  await page.fill('input[name=password]', 'any')
  await page.click('button[type=submit]')
  await page.waitForSelector('form button[type=submit], pre')
  if (!(await page.$('pre'))) await page.click('button[type=submit]')
  await page.waitForSelector('pre')
  const seen = { asked, landed: page.url(), body: await page.textContent('pre') }
  seen.cookies = (await context.cookies(url)).map(({ name, httpOnly, secure, sameSite }) => ({ name, httpOnly, secure, sameSite }))
  seen.script = await page.evaluate(() => document.cookie)
  await page.goto(url)
  seen.again = page.url()
  await page.goto(new URL(logoutPath, url).href).catch(() => undefined)
  seen.left = (await context.cookies(url)).map(({ name }) => name)
  console.log(JSON.stringify(seen))
} finally {
  await browser.close()
}
