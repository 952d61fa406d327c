"""Takes the tokens of logins out of requests: applications and authorizers are shown none that nobody asked for.

Behind the filter of logins the cookies hold tokens in clear. The id token goes on in a header of its own, in which it
is verified next; where no login was asked for, it is still encrypted and goes nowhere.
"""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.filters.http.lua.v3 import lua_pb2

from lateen.envoy.side import Side
from lateen.plan.types import Guard, Login, Route

NAME: Final = "envoy.filters.http.lua"
SLEEPS: Final = False
PURPOSES: Final = (
    "AccessToken", "OauthHMAC", "OauthExpires", "IdToken", "RefreshToken", "OauthNonce", "CodeVerifier"
)  # fmt: skip

_SCRIPT: Final = """
local own = {%(names)s}
function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("%(header)s")
  local kept, token = {}, nil
  for place = 0, headers:getNumValues("cookie") - 1 do
    for cookie in string.gmatch(headers:getAtIndex("cookie", place), "[^;]+") do
      local name, value = string.match(cookie, "^%%s*([^=]*)=(.*)$")
      if not own[string.match(name or "", "^[^.]*")] then
        table.insert(kept, (string.gsub(cookie, "^%%s+", "")))
      elseif name == "%(token)s" then
        token = string.match(value, "^[%%w_-]+%%.[%%w_-]+%%.[%%w_-]+$")
      end
    end
  end
  headers:remove("cookie")
  if #kept > 0 then headers:add("cookie", table.concat(kept, "; ")) end
  if token then headers:add("%(header)s", token) end
end
"""


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand behind the logins, once for each."""
    if side is Side.GATEWAY:
        for login in guard.logins:
            yield lua(login)


def route_config(route: Route) -> None:
    """Say nothing: logins are the gateway's."""


def lua(plan: Login) -> Any:
    """Say which cookies are a login's."""
    # A login that has begun has cookies of its own: such a name, a dot and a number.
    names = ", ".join(f'["{plan.cookie(purpose)}"] = true' for purpose in PURPOSES)
    script = _SCRIPT % {"names": names, "token": plan.cookie("IdToken"), "header": plan.id_token_header.lower()}
    message = lua_pb2.Lua()
    message.default_source_code.inline_string = script
    return message
