// An OpenID provider on the loopback: node provider.mjs PORT CLIENT_ID CLIENT_SECRET REDIRECT_URI[,...] [ACCESS_TOKEN_SECONDS]
// Its own development pages take any user name with any password. Prints "ready" once it can be asked.
import { Provider } from 'oidc-provider'

const [port, clientId, clientSecret, redirectUris, accessTokenSeconds = '600'] = process.argv.slice(2)
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: redirectUris.split(','),
      post_logout_redirect_uris: redirectUris.split(',').map((uri) => `${new URL(uri).origin}/`),
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  claims: { openid: ['sub'], profile: ['name'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `User ${id}` }) }),
  issueRefreshToken: () => true,
  pkce: { required: () => true },
  ttl: { AccessToken: Number(accessTokenSeconds), IdToken: 600, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600 },
})
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))
