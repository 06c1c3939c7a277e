#!/bin/sh
# Stands in for python3: answers a job of three tokens and two repetitions, as the name of its model says.
read -r job
say() { echo "@taper $1"; }
result() {
    say '{"event":"imported"}'
    echo "a library prints what it likes"
    say '{"event":"loaded"}'
    say '{"event":"first_token","token":1}'
    say '{"event":"result","tokens":['"$1"'],"prompt_seconds":['"$2"'],"generation_seconds":[0.5,0.25],
"peak_rss_bytes":200,"installed_bytes":3000,"precision":"float8","threads":2,"versions":{"python":"3.99"},"system":"none",
"steps":['"$3"']}'
}
# A marked answer is one line.
oneline() { "$@" | awk '/^@taper .*,$/ {held = $0; next} held != "" {held = held $0; if (/}$/) {print held; held = ""}; next} {print}'; }
same='{"best":1,"gap":0,"logprob":-1.0}'
case "$job" in
*\"purpose\":\"start\"*)
    for event in imported loaded first_token started; do say "{\"event\":\"$event\"}"; done
    ;;
*unconvertible*\"purpose\":\"convert\"*) echo "no room" >&2; exit 1 ;;
*\"purpose\":\"convert\"*)
    folder=$(echo "$job" | sed 's/.*"folder":"\([^"]*\)".*/\1/')
    touch "$folder/weights"
    say '{"event":"converted"}'
    ;;
*measured-from-folder*)
    folder=$(echo "$job" | sed 's/.*"folder":"\([^"]*\)".*/\1/')
    echo "$folder" > "$(echo "$job" | sed 's/.*"model":"\([^"]*\)".*/\1/')"
    test -f "$folder/weights" && oneline result "1,1,1" "0.5,0.25" "$same,$same,$same"
    ;;
*agrees* | *unconvertible*) oneline result "1,1,1" "0.5,0.25" "$same,$same,$same" ;;
*differs*) oneline result "1,7,7" "0.5,0.25" "$same,{\"best\":7,\"gap\":2.5,\"logprob\":-3.5},$same" ;;
*impossible*) oneline result "1,1,1" "0.5,-1" "$same,$same,$same" ;;
*short*) oneline result "1" "0.5,0.25" "$same" ;;
*missing*) say '{"event":"missing","packages":["torch","gguf"]}' ;;
*crashes*)
    say '{"event":"imported"}'
    printf 'Traceback (most recent call last):\nValueError: no such \033[31marchitecture\n\n' >&2
    exit 3
    ;;
*hangs*)
    say '{"event":"imported"}'
    file=$(echo "$job" | sed 's/.*"model":"\([^"]*\)".*/\1/')
    (sleep 1; touch "$file.survived") &
    wait
    ;;
*rubbish*) echo "Hello, I am not a measurement." ;;
*marked*) say '{"event":"result","tokens":"all of them"}' ;;
*floods*) cat /dev/zero ;;
*closes*)
    exec >&- 2>&-
    sleep 30
    ;;
esac
