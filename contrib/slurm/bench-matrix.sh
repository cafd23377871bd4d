#!/bin/sh
#SBATCH --job-name=tsbhyve-bench
#SBATCH --ntasks=1
#SBATCH --output=bench-%A-%a.txt
# One benchmark a task: sbatch --array=0-3 contrib/slurm/bench-matrix.sh, from tsbhyve's folder.
# BENCHES has the names, if not all of bench/ are wanted.
set -eu
cd "${SLURM_SUBMIT_DIR:-.}"
: "${BENCHES=exits boot interpreter virtqueue}"
index=${SLURM_ARRAY_TASK_ID:-0}
# shellcheck disable=SC2086
set -- $BENCHES
if [ "$index" -ge $# ]; then
	echo "there are $# benchmarks: $BENCHES" >&2
	exit 1
fi
shift "$index"
echo "benchmark $1 on $(hostname)"
exec node "dist/bench/$1.js"
