// An OpenID Provider on a free port of this machine. It prints its URL.
//
// The client `robot` (secret `robot-secret`) may ask for client credentials and exchange tokens (RFC 8693), for any
// resource, with the scopes `read` and `write`. POST /rotate puts a new key in the place of the old one.

import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, jwtVerify } from 'jose';
import Provider from 'oidc-provider';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const resourceServer = (audience) => ({
  audience,
  scope: 'read write',
  accessTokenFormat: 'jwt',
  accessTokenTTL: 600,
  jwt: { sign: { alg: 'RS256' } },
});

async function makeProvider() {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const key = { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'robot',
        client_secret: 'robot-secret',
        grant_types: ['client_credentials', EXCHANGE],
        redirect_uris: [],
        response_types: [],
      },
    ],
    cookies: { keys: ['of-no-use-here'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => ctx.oidc.params.audience ?? 'urn:nobody',
        getResourceServerInfo: (ctx, resource) => resourceServer(resource),
        useGrantedResource: () => true,
      },
    },
    jwks: { keys: [key] },
    scopes: ['read', 'write'],
    ttl: { AccessToken: 600, ClientCredentials: 600 },
  });
  provider.registerGrantType(
    EXCHANGE,
    async (ctx) => {
      const { subject_token: subject, audience, scope } = ctx.oidc.params;
      const { payload } = await jwtVerify(subject, publicKey, { issuer });
      const { client } = ctx.oidc;
      const grant = new provider.Grant({ accountId: payload.sub, clientId: client.clientId });
      const token = new provider.AccessToken({
        accountId: payload.sub,
        client,
        grantId: await grant.save(),
        gty: 'token_exchange',
        scope,
      });
      token.resourceServer = new provider.ResourceServer(audience, resourceServer(audience));
      ctx.body = {
        access_token: await token.save(),
        expires_in: token.expiration,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        scope,
      };
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'scope'],
    [],
  );
  return provider.callback();
}

let provide = await makeProvider();
server.on('request', async (request, response) => {
  if (request.method === 'POST' && request.url === '/rotate') {
    provide = await makeProvider();
    response.writeHead(204).end();
  } else {
    provide(request, response);
  }
});
console.log(issuer);
