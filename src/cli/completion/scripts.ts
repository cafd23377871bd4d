/**
 * Scripts for shells. They know nothing of the program: each asks it what may follow, one answer a
 * line: `word`, a tab, what it is; a line `:files` asks for files, `:open` forbids the blank.
 */
export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** Bash breaks words at `=` and `:`; the answer must leave out what it already has. */
function bash(program: string): string {
  const name = `_${program}_complete`;
  return `# bash completion for ${program}; source it.
${name}() {
  local line=\${COMP_LINE:0:COMP_POINT} words current answer word prefix
  read -ra words <<<"$line"
  current=\${words[\${#words[@]}-1]}
  if [[ $line == *[[:space:]] ]]; then current=; words+=(""); fi
  prefix=\${current%"\${current##*[=:]}"}
  COMPREPLY=()
  while IFS= read -r answer; do
    case $answer in
      :files) compopt -o default ;;
      :open) compopt -o nospace ;;
      *) word=\${answer%%$'\\t'*}; COMPREPLY+=("\${word#"$prefix"}") ;;
    esac
  done < <("\${words[0]}" complete -- "\${words[@]:1}" 2>/dev/null)
}
complete -F ${name} ${program}
`;
}

function zsh(program: string): string {
  const name = `_${program}`;
  return `#compdef ${program}
# zsh completion for ${program}; in $fpath as ${name}, or sourced.
${name}() {
  local answer
  local -a spaced open
  local files=
  local holds=
  while IFS= read -r answer; do
    case $answer in
      :files) files=1 ;;
      :open) holds=1 ;;
      *)
        answer=\${answer%%$'\\t'*}
        if [[ -n $holds ]]; then open+=("$answer"); else spaced+=("$answer"); fi ;;
    esac
  done < <("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#spaced} )) && compadd -- "\${spaced[@]}"
  (( \${#open} )) && compadd -S '' -- "\${open[@]}"
  [[ -n $files ]] && _files
}
compdef ${name} ${program}
`;
}

function fish(program: string): string {
  const name = `__${program}_complete`;
  return `# fish completion for ${program}; in ~/.config/fish/completions, or sourced.
function ${name}
  set -l words (commandline -opc) (commandline -ct)
  $words[1] complete -- $words[2..-1] 2>/dev/null | while read -l answer
    switch $answer
      case :files
        __fish_complete_path (commandline -ct)
      case :open
      case '*'
        echo $answer
    end
  end
end
complete -c ${program} -f -a '(${name})'
`;
}

export function completionScript(shell: Shell, program: string): string {
  switch (shell) {
    case "bash": return bash(program);
    case "zsh": return zsh(program);
    case "fish": return fish(program);
  }
}
