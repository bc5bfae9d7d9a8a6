-- wrk script: SendMessage with a fresh messageId each time; every answer must be a completed task.
local headers = {
  ["Content-Type"] = "application/json",
  ["A2A-Version"] = "1.0",
  ["Accept"] = "application/json, text/event-stream",
}
local before = '{"jsonrpc":"2.0","id":"r1","method":"SendMessage","params":{"message":{"messageId":"'
  .. (os.getenv("BURST") or "burst") .. "-"
local after = '","role":"ROLE_USER","parts":[{"text":"hello from the benchmark, please echo me"}]},'
  .. '"configuration":{"acceptedOutputModes":["text/plain"]}}}'
local sent = 0
local thread_of_load

wrong, sample = 0, ""

function setup(thread)
  thread_of_load = thread
end

function request()
  sent = sent + 1
  return wrk.format("POST", "/", headers, before .. sent .. after)
end

function response(status, _, body)
  if status ~= 200 or not string.find(body, "TASK_STATE_COMPLETED", 1, true) then
    wrong = wrong + 1
    sample = status .. " " .. string.sub(body, 1, 200)
  end
end

function done(summary, latency)
  local e = summary.errors
  local failures = thread_of_load:get("wrong") + e.connect + e.read + e.write + e.timeout
  local text = string.gsub(thread_of_load:get("sample"), '[%c"\\]', "'")
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p99":%.4f,"failures":%d,"sample":"%s"}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3, failures, text))
end
