
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'taper' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'taper'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'taper' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Answer a prompt; without one on a terminal, chat')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Fetch models from the Hub into the cache')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Serve a model over OpenAI''s API')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show what a model file says of itself')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the models in the cache')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Remove models from the cache')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Hash the models in the cache again')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Delete what no model in the cache needs')
            [CompletionResult]::new('tokenize', 'tokenize', [CompletionResultType]::ParameterValue, 'Turn text into token ids')
            [CompletionResult]::new('perplexity', 'perplexity', [CompletionResultType]::ParameterValue, 'Measure how likely a model finds a text')
            [CompletionResult]::new('bench', 'bench', [CompletionResultType]::ParameterValue, 'Measure how fast a model runs here')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Report devices, instruction sets, threads, cache and versions')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the manual page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'taper;run' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Add a file to the prompt (repeatable)')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'Add a file to the prompt (repeatable)')
            [CompletionResult]::new('-S', '-S ', [CompletionResultType]::ParameterName, 'System prompt')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'System prompt')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'The most tokens to generate [default: to the end of the context]')
            [CompletionResult]::new('--max-tokens', '--max-tokens', [CompletionResultType]::ParameterName, 'The most tokens to generate [default: to the end of the context]')
            [CompletionResult]::new('--stop', '--stop', [CompletionResultType]::ParameterName, 'End the answer before this text (repeatable)')
            [CompletionResult]::new('--think', '--think', [CompletionResultType]::ParameterName, 'Whether a model that can think should')
            [CompletionResult]::new('--logprobs', '--logprobs', [CompletionResultType]::ParameterName, 'Report the N likeliest tokens beside each, with --json')
            [CompletionResult]::new('--truncate', '--truncate', [CompletionResultType]::ParameterName, 'Which part of a prompt that does not fit to leave out')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--locked', '--locked', [CompletionResultType]::ParameterName, 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'The most tokens of prompt and answer together [default: what the model was trained for]')
            [CompletionResult]::new('--ctx-size', '--ctx-size', [CompletionResultType]::ParameterName, 'The most tokens of prompt and answer together [default: what the model was trained for]')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda, cuda:N or metal')
            [CompletionResult]::new('--cache-type', '--cache-type', [CompletionResultType]::ParameterName, 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]')
            [CompletionResult]::new('--temp', '--temp', [CompletionResultType]::ParameterName, 'Temperature; 0 takes the likeliest token [default: the model''s, else 0.8]')
            [CompletionResult]::new('--top-k', '--top-k', [CompletionResultType]::ParameterName, 'Keep the N likeliest tokens, 0 for all [default: the model''s, else 40]')
            [CompletionResult]::new('--top-p', '--top-p', [CompletionResultType]::ParameterName, 'Keep the likeliest tokens that add up to this probability [default: the model''s, else 0.95]')
            [CompletionResult]::new('--min-p', '--min-p', [CompletionResultType]::ParameterName, 'Keep tokens at least this share as likely as the likeliest [default: the model''s, else 0.05]')
            [CompletionResult]::new('--repeat-penalty', '--repeat-penalty', [CompletionResultType]::ParameterName, 'Divide the logits of recent tokens; 1 does nothing [default: the model''s, else 1]')
            [CompletionResult]::new('-s', '-s', [CompletionResultType]::ParameterName, 'Seed of the draws; the same seed gives the same answer')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Seed of the draws; the same seed gives the same answer')
            [CompletionResult]::new('--json-schema', '--json-schema', [CompletionResultType]::ParameterName, 'The output is JSON that fits this schema: a file, or the schema itself')
            [CompletionResult]::new('--grammar', '--grammar', [CompletionResultType]::ParameterName, 'The output is what this grammar derives, in Lark or GBNF')
            [CompletionResult]::new('--regex', '--regex', [CompletionResultType]::ParameterName, 'The output matches this regular expression as a whole')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'No chat template: the text is the prompt')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object at the end instead of text')
            [CompletionResult]::new('--require-stop', '--require-stop', [CompletionResultType]::ParameterName, 'Exit with 9 if the answer was cut off')
            [CompletionResult]::new('--ignore-eos', '--ignore-eos', [CompletionResultType]::ParameterName, 'Go on where the model would end, up to --max-tokens')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the exact prompt and its token count; load no weights')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: only what is on disk')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;pull' {
            [CompletionResult]::new('--token-file', '--token-file', [CompletionResultType]::ParameterName, 'Read the token of the Hub from this file [default: HF_TOKEN, else the file of `hf auth login`]')
            [CompletionResult]::new('--lock', '--lock', [CompletionResultType]::ParameterName, 'Pin in this lock file what the models stand for: commit, files, sizes and sha256')
            [CompletionResult]::new('--locked', '--locked', [CompletionResultType]::ParameterName, 'Only what this lock file pins')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Tell what would be fetched, and fetch nothing')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print events as they happen, a JSON object a line; the last of a model has its path')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: tell where in the cache the model is')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;serve' {
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'Address to listen on; any but this machine''s own needs --api-key-file')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Port to listen on; 0 takes a free one')
            [CompletionResult]::new('--unix-socket', '--unix-socket', [CompletionResultType]::ParameterName, 'Listen on a socket in the file system instead')
            [CompletionResult]::new('--tls-cert', '--tls-cert', [CompletionResultType]::ParameterName, 'Speak TLS, with these certificates')
            [CompletionResult]::new('--tls-key', '--tls-key', [CompletionResultType]::ParameterName, 'The key of the first certificate')
            [CompletionResult]::new('--api-key-file', '--api-key-file', [CompletionResultType]::ParameterName, 'Ask for one of the keys in this file, a key a line')
            [CompletionResult]::new('--admin-key-file', '--admin-key-file', [CompletionResultType]::ParameterName, 'Let those with a key of this file reload the model by `POST /admin/reload`')
            [CompletionResult]::new('--allow-host', '--allow-host', [CompletionResultType]::ParameterName, 'A name beside localhost by which this server may be called (repeatable)')
            [CompletionResult]::new('--cors', '--cors', [CompletionResultType]::ParameterName, 'An origin whose pages may use this server, `*` for all (repeatable)')
            [CompletionResult]::new('--rate-limit', '--rate-limit', [CompletionResultType]::ParameterName, 'Requests a minute for each key')
            [CompletionResult]::new('--parallel', '--parallel', [CompletionResultType]::ParameterName, 'Requests that are worked on at once')
            [CompletionResult]::new('--queue', '--queue', [CompletionResultType]::ParameterName, 'Requests that may wait beside them')
            [CompletionResult]::new('--kv-cache-bytes', '--kv-cache-bytes', [CompletionResultType]::ParameterName, 'Bytes that the keys and values of all requests may take; only what they need is taken')
            [CompletionResult]::new('--max-body-bytes', '--max-body-bytes', [CompletionResultType]::ParameterName, 'Bytes of the body of a request at most')
            [CompletionResult]::new('--max-connections', '--max-connections', [CompletionResultType]::ParameterName, 'Connections at once at most')
            [CompletionResult]::new('--idle-seconds', '--idle-seconds', [CompletionResultType]::ParameterName, 'Seconds that a request may take to arrive and a connection to stay idle')
            [CompletionResult]::new('--ping-seconds', '--ping-seconds', [CompletionResultType]::ParameterName, 'Seconds after which a stream without news shows that it lives')
            [CompletionResult]::new('--drain-seconds', '--drain-seconds', [CompletionResultType]::ParameterName, 'Seconds that requests under way may take when the server ends')
            [CompletionResult]::new('--log-format', '--log-format', [CompletionResultType]::ParameterName, 'Log a line for each request to stderr, in this form')
            [CompletionResult]::new('--otlp-endpoint', '--otlp-endpoint', [CompletionResultType]::ParameterName, 'Send traces to an OpenTelemetry collector over HTTP; without URL to where the OTEL_ variables say, else to localhost:4318')
            [CompletionResult]::new('--alias', '--alias', [CompletionResultType]::ParameterName, 'How clients call the model [default: as it was asked for]')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--locked', '--locked', [CompletionResultType]::ParameterName, 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'The most tokens of prompt and answer together [default: what the model was trained for]')
            [CompletionResult]::new('--ctx-size', '--ctx-size', [CompletionResultType]::ParameterName, 'The most tokens of prompt and answer together [default: what the model was trained for]')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda, cuda:N or metal')
            [CompletionResult]::new('--cache-type', '--cache-type', [CompletionResultType]::ParameterName, 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--insecure', '--insecure', [CompletionResultType]::ParameterName, 'Let everybody on the network in without a key')
            [CompletionResult]::new('--log-text', '--log-text', [CompletionResultType]::ParameterName, 'Log what is asked and answered too')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: only what is on disk')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;show' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: only what is on disk')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('--tensors', '--tensors', [CompletionResultType]::ParameterName, 'Also list every tensor')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;list' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON array')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;rm' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only list what would be deleted')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;verify' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;prune' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--keep-revisions', '--keep-revisions', [CompletionResultType]::ParameterName, 'Keep revisions that no branch or tag stands for')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only list what would be deleted')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;tokenize' {
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--locked', '--locked', [CompletionResultType]::ParameterName, 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: only what is on disk')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('--no-bos', '--no-bos', [CompletionResultType]::ParameterName, 'Leave out what the model''s rules put around a text')
            [CompletionResult]::new('--special', '--special', [CompletionResultType]::ParameterName, 'Read what is written like a special token as that token')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;perplexity' {
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'The text')
            [CompletionResult]::new('--file', '--file', [CompletionResultType]::ParameterName, 'The text')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--locked', '--locked', [CompletionResultType]::ParameterName, 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB')
            [CompletionResult]::new('-c', '-c', [CompletionResultType]::ParameterName, 'The most tokens of prompt and answer together [default: what the model was trained for]')
            [CompletionResult]::new('--ctx-size', '--ctx-size', [CompletionResultType]::ParameterName, 'The most tokens of prompt and answer together [default: what the model was trained for]')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda, cuda:N or metal')
            [CompletionResult]::new('--cache-type', '--cache-type', [CompletionResultType]::ParameterName, 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: only what is on disk')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object, with the log-probability of each token')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;bench' {
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Lengths of prompts to read; 0 for none')
            [CompletionResult]::new('--n-prompt', '--n-prompt', [CompletionResultType]::ParameterName, 'Lengths of prompts to read; 0 for none')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Numbers of tokens to generate; 0 for none')
            [CompletionResult]::new('--n-gen', '--n-gen', [CompletionResultType]::ParameterName, 'Numbers of tokens to generate; 0 for none')
            [CompletionResult]::new('-d', '-d', [CompletionResultType]::ParameterName, 'Tokens that the cache holds before')
            [CompletionResult]::new('--n-depth', '--n-depth', [CompletionResultType]::ParameterName, 'Tokens that the cache holds before')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'Sequences at once')
            [CompletionResult]::new('--batch', '--batch', [CompletionResultType]::ParameterName, 'Sequences at once')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads on the CPU [default: physical cores]')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Samples of each test, after a warm-up')
            [CompletionResult]::new('--repetitions', '--repetitions', [CompletionResultType]::ParameterName, 'Samples of each test, after a warm-up')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'How to write the results')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'How to write the results')
            [CompletionResult]::new('--plot', '--plot', [CompletionResultType]::ParameterName, 'Draw throughput against depth, batch or threads, whichever has a list, as SVG')
            [CompletionResult]::new('--save', '--save', [CompletionResultType]::ParameterName, 'Keep the results as a baseline; more samples (`-r 10`) make it a better one')
            [CompletionResult]::new('--baseline', '--baseline', [CompletionResultType]::ParameterName, 'Compare with a baseline; exit 10 if a test is slower than allowed, beyond what chance explains. What the samples cannot tell passes, with a note')
            [CompletionResult]::new('--max-regress', '--max-regress', [CompletionResultType]::ParameterName, 'Throughput that a test may lose')
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Seconds to take more samples while they cannot tell')
            [CompletionResult]::new('--vs', '--vs', [CompletionResultType]::ParameterName, 'Compare with `python`, `python=transformers` or `python=llama-cpp-python`, which do the same work, or with a server at a URL (repeatable)')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'The Python that has the packages, also numpy for --kernels')
            [CompletionResult]::new('--vs-timeout', '--vs-timeout', [CompletionResultType]::ParameterName, 'Seconds that each of them may take')
            [CompletionResult]::new('--serve', '--serve', [CompletionResultType]::ParameterName, 'Ask a server with OpenAI''s API from many sides at once, instead of measuring a model; without a URL our own, started for this')
            [CompletionResult]::new('--concurrency', '--concurrency', [CompletionResultType]::ParameterName, 'Clients at once')
            [CompletionResult]::new('--requests', '--requests', [CompletionResultType]::ParameterName, 'Requests of each level')
            [CompletionResult]::new('--rate', '--rate', [CompletionResultType]::ParameterName, 'Requests a second at random times, instead of clients that wait for their answers')
            [CompletionResult]::new('--prompts', '--prompts', [CompletionResultType]::ParameterName, 'Prompts, one a line or as JSON lines with `prompt` or `messages` [default: made-up texts of -p words]')
            [CompletionResult]::new('--endpoint', '--endpoint', [CompletionResultType]::ParameterName, 'Where to send texts [default: completions, or chat if the server has only that; messages always go to the chat]')
            [CompletionResult]::new('--served-model-name', '--served-model-name', [CompletionResultType]::ParameterName, 'The model to ask a server for [default: the first that it lists]')
            [CompletionResult]::new('--seed', '--seed', [CompletionResultType]::ParameterName, 'Seed of prompts and of random times [default: another one each time, so that no server knows the prompts]')
            [CompletionResult]::new('--api-key-file', '--api-key-file', [CompletionResultType]::ParameterName, 'A file with the key of the server [default: OPENAI_API_KEY]')
            [CompletionResult]::new('-m', '-m', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--model', '--model', [CompletionResultType]::ParameterName, 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`')
            [CompletionResult]::new('--locked', '--locked', [CompletionResultType]::ParameterName, 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB')
            [CompletionResult]::new('--device', '--device', [CompletionResultType]::ParameterName, 'Where to compute: auto, cpu, cuda, cuda:N or metal')
            [CompletionResult]::new('--cache-type', '--cache-type', [CompletionResultType]::ParameterName, 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--ceilings', '--ceilings', [CompletionResultType]::ParameterName, 'Show what the machine can do beside each test')
            [CompletionResult]::new('--kernels', '--kernels', [CompletionResultType]::ParameterName, 'Measure each kernel beside what the machine can do, and a matrix product beside numpy, instead of a model')
            [CompletionResult]::new('--side', '--side', [CompletionResultType]::ParameterName, 'Do the job on standard input, for another taper that compares itself with Python')
            [CompletionResult]::new('--ignore-eos', '--ignore-eos', [CompletionResultType]::ParameterName, 'Ask for answers that go on where the model would end them; not all servers know how')
            [CompletionResult]::new('--offline', '--offline', [CompletionResultType]::ParameterName, 'Never open a socket: only what is on disk')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;doctor' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON object')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;completions' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;man' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'Whether to color what a terminal shows')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but the answer and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Log what happens to stderr; twice for more')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'taper;help' {
            [CompletionResult]::new('run', 'run', [CompletionResultType]::ParameterValue, 'Answer a prompt; without one on a terminal, chat')
            [CompletionResult]::new('pull', 'pull', [CompletionResultType]::ParameterValue, 'Fetch models from the Hub into the cache')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Serve a model over OpenAI''s API')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Show what a model file says of itself')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'List the models in the cache')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Remove models from the cache')
            [CompletionResult]::new('verify', 'verify', [CompletionResultType]::ParameterValue, 'Hash the models in the cache again')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Delete what no model in the cache needs')
            [CompletionResult]::new('tokenize', 'tokenize', [CompletionResultType]::ParameterValue, 'Turn text into token ids')
            [CompletionResult]::new('perplexity', 'perplexity', [CompletionResultType]::ParameterValue, 'Measure how likely a model finds a text')
            [CompletionResult]::new('bench', 'bench', [CompletionResultType]::ParameterValue, 'Measure how fast a model runs here')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Report devices, instruction sets, threads, cache and versions')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a completion script for a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the manual page')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'taper;help;run' {
            break
        }
        'taper;help;pull' {
            break
        }
        'taper;help;serve' {
            break
        }
        'taper;help;show' {
            break
        }
        'taper;help;list' {
            break
        }
        'taper;help;rm' {
            break
        }
        'taper;help;verify' {
            break
        }
        'taper;help;prune' {
            break
        }
        'taper;help;tokenize' {
            break
        }
        'taper;help;perplexity' {
            break
        }
        'taper;help;bench' {
            break
        }
        'taper;help;doctor' {
            break
        }
        'taper;help;completions' {
            break
        }
        'taper;help;man' {
            break
        }
        'taper;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
