# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_taper_global_optspecs
    string join \n q/quiet v/verbose color= h/help V/version
end

function __fish_taper_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_taper_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_taper_using_subcommand
    set -l cmd (__fish_taper_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c taper -n "__fish_taper_needs_command" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_needs_command" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_needs_command" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_needs_command" -s V -l version -d 'Print version'
complete -c taper -n "__fish_taper_needs_command" -f -a "run" -d 'Answer a prompt; without one on a terminal, chat'
complete -c taper -n "__fish_taper_needs_command" -f -a "pull" -d 'Fetch models from the Hub into the cache'
complete -c taper -n "__fish_taper_needs_command" -f -a "serve" -d 'Serve a model over OpenAI\'s API'
complete -c taper -n "__fish_taper_needs_command" -f -a "show" -d 'Show what a model file says of itself'
complete -c taper -n "__fish_taper_needs_command" -f -a "list" -d 'List the models in the cache'
complete -c taper -n "__fish_taper_needs_command" -f -a "rm" -d 'Remove models from the cache'
complete -c taper -n "__fish_taper_needs_command" -f -a "verify" -d 'Hash the models in the cache again'
complete -c taper -n "__fish_taper_needs_command" -f -a "prune" -d 'Delete what no model in the cache needs'
complete -c taper -n "__fish_taper_needs_command" -f -a "tokenize" -d 'Turn text into token ids'
complete -c taper -n "__fish_taper_needs_command" -f -a "perplexity" -d 'Measure how likely a model finds a text'
complete -c taper -n "__fish_taper_needs_command" -f -a "bench" -d 'Measure how fast a model runs here'
complete -c taper -n "__fish_taper_needs_command" -f -a "doctor" -d 'Report devices, instruction sets, threads, cache and versions'
complete -c taper -n "__fish_taper_needs_command" -f -a "completions" -d 'Print a completion script for a shell'
complete -c taper -n "__fish_taper_needs_command" -f -a "man" -d 'Print the manual page'
complete -c taper -n "__fish_taper_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c taper -n "__fish_taper_using_subcommand run" -s f -l file -d 'Add a file to the prompt (repeatable)' -r -F
complete -c taper -n "__fish_taper_using_subcommand run" -s S -l system -d 'System prompt' -r
complete -c taper -n "__fish_taper_using_subcommand run" -s n -l max-tokens -d 'The most tokens to generate [default: to the end of the context]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l stop -d 'End the answer before this text (repeatable)' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l think -d 'Whether a model that can think should' -r -f -a "on\t'Think'
off\t'Answer at once'
auto\t'What the model\'s template does by itself'"
complete -c taper -n "__fish_taper_using_subcommand run" -l logprobs -d 'Report the N likeliest tokens beside each, with --json' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l truncate -d 'Which part of a prompt that does not fit to leave out' -r -f -a "head\t'The beginning'
middle\t'The middle'
tail\t'The end'"
complete -c taper -n "__fish_taper_using_subcommand run" -s m -l model -d 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l locked -d 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB' -r -F
complete -c taper -n "__fish_taper_using_subcommand run" -s c -l ctx-size -d 'The most tokens of prompt and answer together [default: what the model was trained for]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -s t -l threads -d 'Threads on the CPU [default: physical cores]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l device -d 'Where to compute: auto, cpu, cuda, cuda:N or metal' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l cache-type -d 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l temp -d 'Temperature; 0 takes the likeliest token [default: the model\'s, else 0.8]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l top-k -d 'Keep the N likeliest tokens, 0 for all [default: the model\'s, else 40]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l top-p -d 'Keep the likeliest tokens that add up to this probability [default: the model\'s, else 0.95]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l min-p -d 'Keep tokens at least this share as likely as the likeliest [default: the model\'s, else 0.05]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l repeat-penalty -d 'Divide the logits of recent tokens; 1 does nothing [default: the model\'s, else 1]' -r
complete -c taper -n "__fish_taper_using_subcommand run" -s s -l seed -d 'Seed of the draws; the same seed gives the same answer' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l json-schema -d 'The output is JSON that fits this schema: a file, or the schema itself' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l grammar -d 'The output is what this grammar derives, in Lark or GBNF' -r -F
complete -c taper -n "__fish_taper_using_subcommand run" -l regex -d 'The output matches this regular expression as a whole' -r
complete -c taper -n "__fish_taper_using_subcommand run" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand run" -l raw -d 'No chat template: the text is the prompt'
complete -c taper -n "__fish_taper_using_subcommand run" -l json -d 'Print one JSON object at the end instead of text'
complete -c taper -n "__fish_taper_using_subcommand run" -l require-stop -d 'Exit with 9 if the answer was cut off'
complete -c taper -n "__fish_taper_using_subcommand run" -l ignore-eos -d 'Go on where the model would end, up to --max-tokens'
complete -c taper -n "__fish_taper_using_subcommand run" -l dry-run -d 'Print the exact prompt and its token count; load no weights'
complete -c taper -n "__fish_taper_using_subcommand run" -l offline -d 'Never open a socket: only what is on disk'
complete -c taper -n "__fish_taper_using_subcommand run" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand run" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand pull" -l token-file -d 'Read the token of the Hub from this file [default: HF_TOKEN, else the file of `hf auth login`]' -r -F
complete -c taper -n "__fish_taper_using_subcommand pull" -l lock -d 'Pin in this lock file what the models stand for: commit, files, sizes and sha256' -r -F
complete -c taper -n "__fish_taper_using_subcommand pull" -l locked -d 'Only what this lock file pins' -r -F
complete -c taper -n "__fish_taper_using_subcommand pull" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand pull" -l dry-run -d 'Tell what would be fetched, and fetch nothing'
complete -c taper -n "__fish_taper_using_subcommand pull" -l json -d 'Print events as they happen, a JSON object a line; the last of a model has its path'
complete -c taper -n "__fish_taper_using_subcommand pull" -l offline -d 'Never open a socket: tell where in the cache the model is'
complete -c taper -n "__fish_taper_using_subcommand pull" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand pull" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand serve" -l host -d 'Address to listen on; any but this machine\'s own needs --api-key-file' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l port -d 'Port to listen on; 0 takes a free one' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l unix-socket -d 'Listen on a socket in the file system instead' -r -F
complete -c taper -n "__fish_taper_using_subcommand serve" -l tls-cert -d 'Speak TLS, with these certificates' -r -F
complete -c taper -n "__fish_taper_using_subcommand serve" -l tls-key -d 'The key of the first certificate' -r -F
complete -c taper -n "__fish_taper_using_subcommand serve" -l api-key-file -d 'Ask for one of the keys in this file, a key a line' -r -F
complete -c taper -n "__fish_taper_using_subcommand serve" -l admin-key-file -d 'Let those with a key of this file reload the model by `POST /admin/reload`' -r -F
complete -c taper -n "__fish_taper_using_subcommand serve" -l allow-host -d 'A name beside localhost by which this server may be called (repeatable)' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l cors -d 'An origin whose pages may use this server, `*` for all (repeatable)' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l rate-limit -d 'Requests a minute for each key' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l parallel -d 'Requests that are worked on at once' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l queue -d 'Requests that may wait beside them' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l kv-cache-bytes -d 'Bytes that the keys and values of all requests may take; only what they need is taken' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l max-body-bytes -d 'Bytes of the body of a request at most' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l max-connections -d 'Connections at once at most' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l idle-seconds -d 'Seconds that a request may take to arrive and a connection to stay idle' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l ping-seconds -d 'Seconds after which a stream without news shows that it lives' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l drain-seconds -d 'Seconds that requests under way may take when the server ends' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l log-format -d 'Log a line for each request to stderr, in this form' -r -f -a "text\t'For people'
json\t'An object a line'"
complete -c taper -n "__fish_taper_using_subcommand serve" -l otlp-endpoint -d 'Send traces to an OpenTelemetry collector over HTTP; without URL to where the OTEL_ variables say, else to localhost:4318' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l alias -d 'How clients call the model [default: as it was asked for]' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -s m -l model -d 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l locked -d 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB' -r -F
complete -c taper -n "__fish_taper_using_subcommand serve" -s c -l ctx-size -d 'The most tokens of prompt and answer together [default: what the model was trained for]' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -s t -l threads -d 'Threads on the CPU [default: physical cores]' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l device -d 'Where to compute: auto, cpu, cuda, cuda:N or metal' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l cache-type -d 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]' -r
complete -c taper -n "__fish_taper_using_subcommand serve" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand serve" -l insecure -d 'Let everybody on the network in without a key'
complete -c taper -n "__fish_taper_using_subcommand serve" -l log-text -d 'Log what is asked and answered too'
complete -c taper -n "__fish_taper_using_subcommand serve" -l offline -d 'Never open a socket: only what is on disk'
complete -c taper -n "__fish_taper_using_subcommand serve" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand serve" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand show" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand show" -l offline -d 'Never open a socket: only what is on disk'
complete -c taper -n "__fish_taper_using_subcommand show" -l json -d 'Print one JSON object'
complete -c taper -n "__fish_taper_using_subcommand show" -l tensors -d 'Also list every tensor'
complete -c taper -n "__fish_taper_using_subcommand show" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand show" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand list" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand list" -l json -d 'Print one JSON array'
complete -c taper -n "__fish_taper_using_subcommand list" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand list" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand rm" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand rm" -l dry-run -d 'Only list what would be deleted'
complete -c taper -n "__fish_taper_using_subcommand rm" -l json -d 'Print one JSON object'
complete -c taper -n "__fish_taper_using_subcommand rm" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand rm" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand verify" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand verify" -l json -d 'Print one JSON object'
complete -c taper -n "__fish_taper_using_subcommand verify" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand verify" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand prune" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand prune" -l keep-revisions -d 'Keep revisions that no branch or tag stands for'
complete -c taper -n "__fish_taper_using_subcommand prune" -l dry-run -d 'Only list what would be deleted'
complete -c taper -n "__fish_taper_using_subcommand prune" -l json -d 'Print one JSON object'
complete -c taper -n "__fish_taper_using_subcommand prune" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand prune" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -s m -l model -d 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`' -r
complete -c taper -n "__fish_taper_using_subcommand tokenize" -l locked -d 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB' -r -F
complete -c taper -n "__fish_taper_using_subcommand tokenize" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand tokenize" -l offline -d 'Never open a socket: only what is on disk'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -l json -d 'Print one JSON object'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -l no-bos -d 'Leave out what the model\'s rules put around a text'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -l special -d 'Read what is written like a special token as that token'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand tokenize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s f -l file -d 'The text' -r -F
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s m -l model -d 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`' -r
complete -c taper -n "__fish_taper_using_subcommand perplexity" -l locked -d 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB' -r -F
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s c -l ctx-size -d 'The most tokens of prompt and answer together [default: what the model was trained for]' -r
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s t -l threads -d 'Threads on the CPU [default: physical cores]' -r
complete -c taper -n "__fish_taper_using_subcommand perplexity" -l device -d 'Where to compute: auto, cpu, cuda, cuda:N or metal' -r
complete -c taper -n "__fish_taper_using_subcommand perplexity" -l cache-type -d 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]' -r
complete -c taper -n "__fish_taper_using_subcommand perplexity" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand perplexity" -l offline -d 'Never open a socket: only what is on disk'
complete -c taper -n "__fish_taper_using_subcommand perplexity" -l json -d 'Print one JSON object, with the log-probability of each token'
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand perplexity" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand bench" -s p -l n-prompt -d 'Lengths of prompts to read; 0 for none' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -s n -l n-gen -d 'Numbers of tokens to generate; 0 for none' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -s d -l n-depth -d 'Tokens that the cache holds before' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -s b -l batch -d 'Sequences at once' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -s t -l threads -d 'Threads on the CPU [default: physical cores]' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -s r -l repetitions -d 'Samples of each test, after a warm-up' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -s o -l output -d 'How to write the results' -r -f -a "table\t'A table for people'
md\t'A table in Markdown'
csv\t'Comma-separated values with a heading'
json\t'A JSON array with an object for each test'
jsonl\t'The same objects, each on a line of its own'"
complete -c taper -n "__fish_taper_using_subcommand bench" -l plot -d 'Draw throughput against depth, batch or threads, whichever has a list, as SVG' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -l save -d 'Keep the results as a baseline; more samples (`-r 10`) make it a better one' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -l baseline -d 'Compare with a baseline; exit 10 if a test is slower than allowed, beyond what chance explains. What the samples cannot tell passes, with a note' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -l max-regress -d 'Throughput that a test may lose' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l budget -d 'Seconds to take more samples while they cannot tell' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l vs -d 'Compare with `python`, `python=transformers` or `python=llama-cpp-python`, which do the same work, or with a server at a URL (repeatable)' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l python -d 'The Python that has the packages, also numpy for --kernels' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -l vs-timeout -d 'Seconds that each of them may take' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l serve -d 'Ask a server with OpenAI\'s API from many sides at once, instead of measuring a model; without a URL our own, started for this' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l concurrency -d 'Clients at once' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l requests -d 'Requests of each level' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l rate -d 'Requests a second at random times, instead of clients that wait for their answers' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l prompts -d 'Prompts, one a line or as JSON lines with `prompt` or `messages` [default: made-up texts of -p words]' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -l endpoint -d 'Where to send texts [default: completions, or chat if the server has only that; messages always go to the chat]' -r -f -a "completions\t'/completions: the prompt as it is'
chat\t'/chat/completions: the message of a user'"
complete -c taper -n "__fish_taper_using_subcommand bench" -l served-model-name -d 'The model to ask a server for [default: the first that it lists]' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l seed -d 'Seed of prompts and of random times [default: another one each time, so that no server knows the prompts]' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l api-key-file -d 'A file with the key of the server [default: OPENAI_API_KEY]' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -s m -l model -d 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l locked -d 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB' -r -F
complete -c taper -n "__fish_taper_using_subcommand bench" -l device -d 'Where to compute: auto, cpu, cuda, cuda:N or metal' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l cache-type -d 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]' -r
complete -c taper -n "__fish_taper_using_subcommand bench" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand bench" -l ceilings -d 'Show what the machine can do beside each test'
complete -c taper -n "__fish_taper_using_subcommand bench" -l kernels -d 'Measure each kernel beside what the machine can do, and a matrix product beside numpy, instead of a model'
complete -c taper -n "__fish_taper_using_subcommand bench" -l side -d 'Do the job on standard input, for another taper that compares itself with Python'
complete -c taper -n "__fish_taper_using_subcommand bench" -l ignore-eos -d 'Ask for answers that go on where the model would end them; not all servers know how'
complete -c taper -n "__fish_taper_using_subcommand bench" -l offline -d 'Never open a socket: only what is on disk'
complete -c taper -n "__fish_taper_using_subcommand bench" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand bench" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand doctor" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand doctor" -l json -d 'Print one JSON object'
complete -c taper -n "__fish_taper_using_subcommand doctor" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand doctor" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand completions" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand completions" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand completions" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand man" -l color -d 'Whether to color what a terminal shows' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set'
always\t'Even into a file'
never\t'Never'"
complete -c taper -n "__fish_taper_using_subcommand man" -s q -l quiet -d 'Say nothing but the answer and errors'
complete -c taper -n "__fish_taper_using_subcommand man" -s v -l verbose -d 'Log what happens to stderr; twice for more'
complete -c taper -n "__fish_taper_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "run" -d 'Answer a prompt; without one on a terminal, chat'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "pull" -d 'Fetch models from the Hub into the cache'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "serve" -d 'Serve a model over OpenAI\'s API'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "show" -d 'Show what a model file says of itself'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "list" -d 'List the models in the cache'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "rm" -d 'Remove models from the cache'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "verify" -d 'Hash the models in the cache again'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "prune" -d 'Delete what no model in the cache needs'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "tokenize" -d 'Turn text into token ids'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "perplexity" -d 'Measure how likely a model finds a text'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "bench" -d 'Measure how fast a model runs here'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "doctor" -d 'Report devices, instruction sets, threads, cache and versions'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "completions" -d 'Print a completion script for a shell'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "man" -d 'Print the manual page'
complete -c taper -n "__fish_taper_using_subcommand help; and not __fish_seen_subcommand_from run pull serve show list rm verify prune tokenize perplexity bench doctor completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
