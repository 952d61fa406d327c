"""The script at a proxy's port for metrics: it writes Istio's labels where the proxy keeps them in one text.

The same is done by `lateen.plan.compact_labels` for whoever reads over the admin socket; a test keeps the two alike.
"""

from typing import Final

from lateen.names import LATEST, UNKNOWN
from lateen.plan.compact_labels import (
    BETWEEN,
    BETWEEN_FACTS,
    CALLER,
    FACT_LABELS,
    FACTS,
    MUTUAL,
    PLACES,
    SERVICE,
    TAG,
    TCP,
)


def script() -> str:
    """Return the script."""
    names = ", ".join(f'"{FACT_LABELS.get(fact, fact)}"' for fact in FACTS)
    nobody = ", ".join(f'"{LATEST if fact == "revision" else UNKNOWN}"' for fact in FACTS)
    place = FACTS.index
    return _SCRIPT.format(
        names=names,
        nobody=nobody,
        tag=TAG,
        between=BETWEEN,
        between_facts=BETWEEN_FACTS,
        caller=CALLER,
        mutual=MUTUAL,
        unknown=UNKNOWN,
        host=SERVICE[0],
        name=SERVICE[1],
        namespace=SERVICE[2],
        own_service=place("service") + 1,
        own_namespace=place("namespace") + 1,
        places=PLACES,
        tcp=TCP,
    )


_SCRIPT: Final = """
local names, nobody = {{{names}}}, {{{nobody}}}
local known = {{}}

local function split(text, mark)
  local parts = {{}}
  for part in (text .. mark):gmatch("(.-)" .. mark) do parts[#parts + 1] = part end
  return parts
end

local function facts(text)
  return text == "" and nobody or split(text, "{between_facts}")
end

local function add(out, name, value)
  out[#out + 1] = name .. '="' .. value .. '"'
end

local function add_end(out, which, values, principal)
  for at, name in ipairs(names) do add(out, which .. "_" .. name, values[at] or "{unknown}") end
  add(out, which .. "_principal", principal ~= "" and principal or "{unknown}")
end

local function labels(text)
  local part = split(text, "{between}")
  if #part ~= {places} then return '{tag}="' .. text .. '"' end
  local out, calls, own = {{}}, part[1] == "{caller}", facts(part[2])
  add(out, "reporter", calls and "source" or "destination")
  add_end(out, calls and "source" or "destination", own, part[5])
  add_end(out, calls and "destination" or "source", facts(part[3]), part[4])
  local service = calls and "{unknown}" or own[{own_service}]
  add(out, "{host}", part[6] ~= "" and part[6] or service)
  add(out, "{name}", part[7] ~= "" and part[7] or service)
  local namespace = part[8] ~= "" and part[8] or "{unknown}"
  add(out, "{namespace}", calls and namespace or own[{own_namespace}])
  add(out, "request_protocol", part[9])
  if part[9] ~= "{tcp}" then
    add(out, "response_code", part[10])
    add(out, "grpc_response_status", part[11])
  end
  add(out, "response_flags", part[12])
  local policy = part[1] == "{mutual}" and "mutual_tls" or "none"
  add(out, "connection_security_policy", calls and "{unknown}" or policy)
  return table.concat(out, ",")
end

local function expanded(text)
  if not known[text] then known[text] = labels(text) end
  return known[text]
end

function envoy_on_response(handle)
  local body = handle:body()
  if body == nil then return end
  local page = body:getBytes(0, body:length())
  page = page:gsub("envoy_istio_", "istio_"):gsub('{tag}="([^"]*)"', expanded)
  known = {{}}
  body:setBytes(page)
  handle:headers():replace("content-length", tostring(#page))
end
"""
