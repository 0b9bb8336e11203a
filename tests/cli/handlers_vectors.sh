#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# saxpy and mlp give what numpy gives, for files of many vectors.
. "$(dirname "$0")/common.sh"

python=${PYTHON:-$(command -v python3)}
if ! "$python" -c 'import numpy' 2>/dev/null; then
  echo "skipped: the comparison needs Python with numpy"
  exit 77
fi

saxpy_is_numpy() {
  "$python" -c '
import numpy as np
np.random.default_rng(1).standard_normal(500000, "f4").astype("<f4").tofile("x")'
  local scope
  for scope in thread warp block; do
    expect_status 0 "saxpy $scope" run --handler saxpy --scope "$scope" --arg a=2.7 --arg b=-0.1 \
      --input-format fixed:4000 x
    cp out y
    "$python" -c '
import numpy as np
x, y = np.fromfile("x", "<f4").astype("f8"), np.fromfile("y", "<f4")
# exact in double but for the last bits of the sum: rounded once, give or take a tie
wanted = (np.float64(np.float32(2.7)) * x + np.float64(np.float32(-0.1))).astype("f4")
assert x.size == y.size and abs(wanted.view("i4") - y.view("i4")).max() <= 1' ||
      fail "saxpy $scope differs from numpy"
  done
}

mlp_is_numpy() {
  "$python" -c '
import numpy as np
rng = np.random.default_rng(2)
W1, b1, W2, b2 = (rng.standard_normal(s, "f4") / 20 for s in ((784, 128), 128, (128, 10), 10))
# as the handler describes it
head = b"GQNN" + np.array([1, 2, *W1.shape, W2.shape[1]], "<u4").tobytes()
open("weights", "wb").write(head + b"".join(a.astype("<f4").tobytes() for a in (W1, b1, W2, b2)))
x = rng.standard_normal((500, 784), "f4").astype("<f4")
x.tofile("images")
(np.maximum(x.astype("f8") @ W1 + b1, 0) @ W2 + b2).tofile("wanted")'
  local scope
  for scope in thread warp block; do
    expect_status 0 "mlp $scope" run --handler mlp --scope "$scope" --state weights --input-format fixed:3136 images
    cp out y
    "$python" -c '
import numpy as np
wanted, y = np.fromfile("wanted").reshape(500, 10), np.fromfile("y", "<f4").reshape(500, 10)
assert np.allclose(y, wanted, rtol=1e-4, atol=1e-5)' || fail "mlp $scope differs from numpy"
  done
  expect_status 2 'not weights' run --handler mlp --state images --input-format fixed:3136 images
  expect_err 'not weights' 'code 1'
  expect_status 2 'no weights' run --handler mlp --input-format fixed:3136 images
  expect_err 'no weights' state
}

for_each_backend saxpy_is_numpy mlp_is_numpy
