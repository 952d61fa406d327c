-- Grants all charges, or none where one that is not best effort cannot be granted: the rules of lateen/mixer/quota.py.
-- KEYS: one count each. ARGV: the time in milliseconds (0: Redis' own), then for each key
-- counting, most, window, amount of a window, tick, amount wanted, best effort (0 or 1).
-- Returns for each key: granted, left, milliseconds until there is more.
local FIELDS = 7
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read(key, charge)
  local count = {key = key, charge = charge, quota = charge.window .. '/' .. charge.tick}
  if charge.counting == 'held' then
    count.used = tonumber(redis.call('GET', key) or '0')
    count.left = charge.most - count.used
  elseif charge.counting == 'fixed' then
    count.window = math.floor(now / charge.window)
    local known = redis.call('HMGET', key, 'window', 'used', 'quota')
    local is_same = known[1] == tostring(count.window) and known[3] == count.quota
    count.used = is_same and tonumber(known[2]) or 0
    count.left = charge.most - count.used
  elseif charge.counting == 'rolling' then
    count.ticks = math.ceil(charge.window / charge.tick)
    count.now = math.floor(now / charge.tick)
    count.oldest = count.now
    count.used = 0
    local known = redis.call('HGETALL', key)
    for at = 1, #known, 2 do
      local quota, tick = string.match(known[at], '^(.*) (%d+)$')
      tick = tonumber(tick)
      if quota == count.quota and tick > count.now - count.ticks then
        count.used = count.used + tonumber(known[at + 1])
        count.oldest = math.min(count.oldest, tick)
      else
        redis.call('HDEL', key, known[at])
      end
    end
    count.left = charge.most - count.used
  else
    local full = charge.most * charge.window
    local known = redis.call('HMGET', key, 'parts', 'at', 'quota')
    count.parts = full
    if known[3] == count.quota then
      count.parts = math.min(full, tonumber(known[1]) + math.max(0, now - tonumber(known[2])) * charge.amount)
    end
    count.left = math.floor(count.parts / charge.window)
  end
  return count
end

local function take(count, amount)
  local charge = count.charge
  if charge.counting == 'held' then
    count.used = math.max(0, count.used + amount)
    count.left = charge.most - count.used
    if count.used == 0 then redis.call('DEL', count.key) else redis.call('SET', count.key, count.used) end
  elseif charge.counting == 'fixed' then
    count.used = count.used + amount
    count.left = charge.most - count.used
    redis.call('HSET', count.key, 'window', tostring(count.window), 'used', count.used, 'quota', count.quota)
    redis.call('PEXPIRE', count.key, charge.window)
  elseif charge.counting == 'rolling' then
    redis.call('HINCRBY', count.key, string.format('%s %.0f', count.quota, count.now), amount)
    redis.call('PEXPIRE', count.key, charge.window + charge.tick)
    count.used = count.used + amount
    count.left = charge.most - count.used
  else
    count.parts = math.min(charge.most * charge.window, count.parts - amount * charge.window)
    count.left = math.floor(count.parts / charge.window)
    redis.call('HSET', count.key, 'parts', string.format('%.0f', count.parts), 'at', string.format('%.0f', now),
      'quota', count.quota)
    redis.call('PEXPIRE', count.key, math.ceil(charge.most * charge.window / charge.amount) + 1)
  end
end

local function resets_in(count)
  local charge = count.charge
  if charge.counting == 'fixed' then return charge.window - now % charge.window end
  if charge.counting == 'rolling' then return (count.oldest + count.ticks) * charge.tick - now end
  if charge.counting == 'refilled' and count.left == 0 then
    return math.ceil((charge.window - count.parts) / charge.amount)
  end
  return 0
end

local counts, amounts, granted_all = {}, {}, true
for at, key in ipairs(KEYS) do
  local first = 2 + (at - 1) * FIELDS
  local charge = {
    counting = ARGV[first], most = tonumber(ARGV[first + 1]), window = tonumber(ARGV[first + 2]),
    amount = tonumber(ARGV[first + 3]), tick = tonumber(ARGV[first + 4]), wanted = tonumber(ARGV[first + 5]),
    best_effort = ARGV[first + 6] == '1',
  }
  counts[at] = read(key, charge)
  if charge.wanted <= counts[at].left then
    amounts[at] = charge.wanted
  elseif charge.best_effort then
    amounts[at] = math.max(0, counts[at].left)
  else
    granted_all = false
  end
end

local answer = {}
for at, count in ipairs(counts) do
  local amount = granted_all and amounts[at] or 0
  if amount > 0 or (amount < 0 and count.charge.counting == 'held') then take(count, amount) end
  answer[at] = {amount, math.max(0, count.left), resets_in(count)}
end
return answer
