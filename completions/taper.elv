
use builtin;
use str;

set edit:completion:arg-completer[taper] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'taper'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'taper'= {
            cand --color 'Whether to color what a terminal shows'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand run 'Answer a prompt; without one on a terminal, chat'
            cand pull 'Fetch models from the Hub into the cache'
            cand serve 'Serve a model over OpenAI''s API'
            cand show 'Show what a model file says of itself'
            cand list 'List the models in the cache'
            cand rm 'Remove models from the cache'
            cand verify 'Hash the models in the cache again'
            cand prune 'Delete what no model in the cache needs'
            cand tokenize 'Turn text into token ids'
            cand perplexity 'Measure how likely a model finds a text'
            cand bench 'Measure how fast a model runs here'
            cand doctor 'Report devices, instruction sets, threads, cache and versions'
            cand completions 'Print a completion script for a shell'
            cand man 'Print the manual page'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'taper;run'= {
            cand -f 'Add a file to the prompt (repeatable)'
            cand --file 'Add a file to the prompt (repeatable)'
            cand -S 'System prompt'
            cand --system 'System prompt'
            cand -n 'The most tokens to generate [default: to the end of the context]'
            cand --max-tokens 'The most tokens to generate [default: to the end of the context]'
            cand --stop 'End the answer before this text (repeatable)'
            cand --think 'Whether a model that can think should'
            cand --logprobs 'Report the N likeliest tokens beside each, with --json'
            cand --truncate 'Which part of a prompt that does not fit to leave out'
            cand -m 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --model 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --locked 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB'
            cand -c 'The most tokens of prompt and answer together [default: what the model was trained for]'
            cand --ctx-size 'The most tokens of prompt and answer together [default: what the model was trained for]'
            cand -t 'Threads on the CPU [default: physical cores]'
            cand --threads 'Threads on the CPU [default: physical cores]'
            cand --device 'Where to compute: auto, cpu, cuda, cuda:N or metal'
            cand --cache-type 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]'
            cand --temp 'Temperature; 0 takes the likeliest token [default: the model''s, else 0.8]'
            cand --top-k 'Keep the N likeliest tokens, 0 for all [default: the model''s, else 40]'
            cand --top-p 'Keep the likeliest tokens that add up to this probability [default: the model''s, else 0.95]'
            cand --min-p 'Keep tokens at least this share as likely as the likeliest [default: the model''s, else 0.05]'
            cand --repeat-penalty 'Divide the logits of recent tokens; 1 does nothing [default: the model''s, else 1]'
            cand -s 'Seed of the draws; the same seed gives the same answer'
            cand --seed 'Seed of the draws; the same seed gives the same answer'
            cand --json-schema 'The output is JSON that fits this schema: a file, or the schema itself'
            cand --grammar 'The output is what this grammar derives, in Lark or GBNF'
            cand --regex 'The output matches this regular expression as a whole'
            cand --color 'Whether to color what a terminal shows'
            cand --raw 'No chat template: the text is the prompt'
            cand --json 'Print one JSON object at the end instead of text'
            cand --require-stop 'Exit with 9 if the answer was cut off'
            cand --ignore-eos 'Go on where the model would end, up to --max-tokens'
            cand --dry-run 'Print the exact prompt and its token count; load no weights'
            cand --offline 'Never open a socket: only what is on disk'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;pull'= {
            cand --token-file 'Read the token of the Hub from this file [default: HF_TOKEN, else the file of `hf auth login`]'
            cand --lock 'Pin in this lock file what the models stand for: commit, files, sizes and sha256'
            cand --locked 'Only what this lock file pins'
            cand --color 'Whether to color what a terminal shows'
            cand --dry-run 'Tell what would be fetched, and fetch nothing'
            cand --json 'Print events as they happen, a JSON object a line; the last of a model has its path'
            cand --offline 'Never open a socket: tell where in the cache the model is'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;serve'= {
            cand --host 'Address to listen on; any but this machine''s own needs --api-key-file'
            cand --port 'Port to listen on; 0 takes a free one'
            cand --unix-socket 'Listen on a socket in the file system instead'
            cand --tls-cert 'Speak TLS, with these certificates'
            cand --tls-key 'The key of the first certificate'
            cand --api-key-file 'Ask for one of the keys in this file, a key a line'
            cand --admin-key-file 'Let those with a key of this file reload the model by `POST /admin/reload`'
            cand --allow-host 'A name beside localhost by which this server may be called (repeatable)'
            cand --cors 'An origin whose pages may use this server, `*` for all (repeatable)'
            cand --rate-limit 'Requests a minute for each key'
            cand --parallel 'Requests that are worked on at once'
            cand --queue 'Requests that may wait beside them'
            cand --kv-cache-bytes 'Bytes that the keys and values of all requests may take; only what they need is taken'
            cand --max-body-bytes 'Bytes of the body of a request at most'
            cand --max-connections 'Connections at once at most'
            cand --idle-seconds 'Seconds that a request may take to arrive and a connection to stay idle'
            cand --ping-seconds 'Seconds after which a stream without news shows that it lives'
            cand --drain-seconds 'Seconds that requests under way may take when the server ends'
            cand --log-format 'Log a line for each request to stderr, in this form'
            cand --otlp-endpoint 'Send traces to an OpenTelemetry collector over HTTP; without URL to where the OTEL_ variables say, else to localhost:4318'
            cand --alias 'How clients call the model [default: as it was asked for]'
            cand -m 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --model 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --locked 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB'
            cand -c 'The most tokens of prompt and answer together [default: what the model was trained for]'
            cand --ctx-size 'The most tokens of prompt and answer together [default: what the model was trained for]'
            cand -t 'Threads on the CPU [default: physical cores]'
            cand --threads 'Threads on the CPU [default: physical cores]'
            cand --device 'Where to compute: auto, cpu, cuda, cuda:N or metal'
            cand --cache-type 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]'
            cand --color 'Whether to color what a terminal shows'
            cand --insecure 'Let everybody on the network in without a key'
            cand --log-text 'Log what is asked and answered too'
            cand --offline 'Never open a socket: only what is on disk'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;show'= {
            cand --color 'Whether to color what a terminal shows'
            cand --offline 'Never open a socket: only what is on disk'
            cand --json 'Print one JSON object'
            cand --tensors 'Also list every tensor'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;list'= {
            cand --color 'Whether to color what a terminal shows'
            cand --json 'Print one JSON array'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;rm'= {
            cand --color 'Whether to color what a terminal shows'
            cand --dry-run 'Only list what would be deleted'
            cand --json 'Print one JSON object'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;verify'= {
            cand --color 'Whether to color what a terminal shows'
            cand --json 'Print one JSON object'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;prune'= {
            cand --color 'Whether to color what a terminal shows'
            cand --keep-revisions 'Keep revisions that no branch or tag stands for'
            cand --dry-run 'Only list what would be deleted'
            cand --json 'Print one JSON object'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;tokenize'= {
            cand -m 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --model 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --locked 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB'
            cand --color 'Whether to color what a terminal shows'
            cand --offline 'Never open a socket: only what is on disk'
            cand --json 'Print one JSON object'
            cand --no-bos 'Leave out what the model''s rules put around a text'
            cand --special 'Read what is written like a special token as that token'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;perplexity'= {
            cand -f 'The text'
            cand --file 'The text'
            cand -m 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --model 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --locked 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB'
            cand -c 'The most tokens of prompt and answer together [default: what the model was trained for]'
            cand --ctx-size 'The most tokens of prompt and answer together [default: what the model was trained for]'
            cand -t 'Threads on the CPU [default: physical cores]'
            cand --threads 'Threads on the CPU [default: physical cores]'
            cand --device 'Where to compute: auto, cpu, cuda, cuda:N or metal'
            cand --cache-type 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]'
            cand --color 'Whether to color what a terminal shows'
            cand --offline 'Never open a socket: only what is on disk'
            cand --json 'Print one JSON object, with the log-probability of each token'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;bench'= {
            cand -p 'Lengths of prompts to read; 0 for none'
            cand --n-prompt 'Lengths of prompts to read; 0 for none'
            cand -n 'Numbers of tokens to generate; 0 for none'
            cand --n-gen 'Numbers of tokens to generate; 0 for none'
            cand -d 'Tokens that the cache holds before'
            cand --n-depth 'Tokens that the cache holds before'
            cand -b 'Sequences at once'
            cand --batch 'Sequences at once'
            cand -t 'Threads on the CPU [default: physical cores]'
            cand --threads 'Threads on the CPU [default: physical cores]'
            cand -r 'Samples of each test, after a warm-up'
            cand --repetitions 'Samples of each test, after a warm-up'
            cand -o 'How to write the results'
            cand --output 'How to write the results'
            cand --plot 'Draw throughput against depth, batch or threads, whichever has a list, as SVG'
            cand --save 'Keep the results as a baseline; more samples (`-r 10`) make it a better one'
            cand --baseline 'Compare with a baseline; exit 10 if a test is slower than allowed, beyond what chance explains. What the samples cannot tell passes, with a note'
            cand --max-regress 'Throughput that a test may lose'
            cand --budget 'Seconds to take more samples while they cannot tell'
            cand --vs 'Compare with `python`, `python=transformers` or `python=llama-cpp-python`, which do the same work, or with a server at a URL (repeatable)'
            cand --python 'The Python that has the packages, also numpy for --kernels'
            cand --vs-timeout 'Seconds that each of them may take'
            cand --serve 'Ask a server with OpenAI''s API from many sides at once, instead of measuring a model; without a URL our own, started for this'
            cand --concurrency 'Clients at once'
            cand --requests 'Requests of each level'
            cand --rate 'Requests a second at random times, instead of clients that wait for their answers'
            cand --prompts 'Prompts, one a line or as JSON lines with `prompt` or `messages` [default: made-up texts of -p words]'
            cand --endpoint 'Where to send texts [default: completions, or chat if the server has only that; messages always go to the chat]'
            cand --served-model-name 'The model to ask a server for [default: the first that it lists]'
            cand --seed 'Seed of prompts and of random times [default: another one each time, so that no server knows the prompts]'
            cand --api-key-file 'A file with the key of the server [default: OPENAI_API_KEY]'
            cand -m 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --model 'A .gguf file, a folder with safetensors, `owner/repo[:QUANT][@REVISION]` of the Hub, or `demo`'
            cand --locked 'Only what this lock file pins; every file is hashed before it is used, about a second for 1 to 2 GB'
            cand --device 'Where to compute: auto, cpu, cuda, cuda:N or metal'
            cand --cache-type 'How the CPU stores keys and values: f16, f32 or q8_0, half as large as f16 [default: f16]'
            cand --color 'Whether to color what a terminal shows'
            cand --ceilings 'Show what the machine can do beside each test'
            cand --kernels 'Measure each kernel beside what the machine can do, and a matrix product beside numpy, instead of a model'
            cand --side 'Do the job on standard input, for another taper that compares itself with Python'
            cand --ignore-eos 'Ask for answers that go on where the model would end them; not all servers know how'
            cand --offline 'Never open a socket: only what is on disk'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;doctor'= {
            cand --color 'Whether to color what a terminal shows'
            cand --json 'Print one JSON object'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;completions'= {
            cand --color 'Whether to color what a terminal shows'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;man'= {
            cand --color 'Whether to color what a terminal shows'
            cand -q 'Say nothing but the answer and errors'
            cand --quiet 'Say nothing but the answer and errors'
            cand -v 'Log what happens to stderr; twice for more'
            cand --verbose 'Log what happens to stderr; twice for more'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'taper;help'= {
            cand run 'Answer a prompt; without one on a terminal, chat'
            cand pull 'Fetch models from the Hub into the cache'
            cand serve 'Serve a model over OpenAI''s API'
            cand show 'Show what a model file says of itself'
            cand list 'List the models in the cache'
            cand rm 'Remove models from the cache'
            cand verify 'Hash the models in the cache again'
            cand prune 'Delete what no model in the cache needs'
            cand tokenize 'Turn text into token ids'
            cand perplexity 'Measure how likely a model finds a text'
            cand bench 'Measure how fast a model runs here'
            cand doctor 'Report devices, instruction sets, threads, cache and versions'
            cand completions 'Print a completion script for a shell'
            cand man 'Print the manual page'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'taper;help;run'= {
        }
        &'taper;help;pull'= {
        }
        &'taper;help;serve'= {
        }
        &'taper;help;show'= {
        }
        &'taper;help;list'= {
        }
        &'taper;help;rm'= {
        }
        &'taper;help;verify'= {
        }
        &'taper;help;prune'= {
        }
        &'taper;help;tokenize'= {
        }
        &'taper;help;perplexity'= {
        }
        &'taper;help;bench'= {
        }
        &'taper;help;doctor'= {
        }
        &'taper;help;completions'= {
        }
        &'taper;help;man'= {
        }
        &'taper;help;help'= {
        }
    ]
    $completions[$command]
}
