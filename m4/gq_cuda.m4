# SPDX-License-Identifier: Apache-2.0
# GQ_CUDA: find nvcc and decide for which GPUs the resident kernel is compiled.
# Sets HAVE_NVCC (conditional), NVCC, NVCCFLAGS, GQ_NVCC_GENCODE, and in config.h GQ_CUDA_ARCHS and GQ_HAVE_FATBINS.

# What --with-cuda-archs may name, one a line: numbers only, from sm_75 up, oldest first.
AC_DEFUN([GQ_CUDA_KNOWN_ARCHS], [
gq_known_archs=`"$NVCC" --list-gpu-code 2>/dev/null | $SED -n 's/^sm_\(@<:@0-9@:>@@<:@0-9@:>@*\)$/\1/p' |
  sort -n | awk '$[]1 >= 75' | tr '\n' ' ' | $SED 's/ $//'`
])

AC_DEFUN([GQ_CUDA], [
AC_ARG_WITH([cuda],
  [AS_HELP_STRING([--with-cuda@<:@=DIR@:>@],
    [compile the GPU kernels with nvcc, or with the one of the toolkit in DIR; no: leave them out (default: if nvcc works)])],
  [], [with_cuda=auto])
AC_ARG_WITH([cuda-archs],
  [AS_HELP_STRING([--with-cuda-archs=LIST],
    [GPUs to compile for, such as "80 sm_90 ptx_90"; NN and sm_NN mean machine code, ptx_NN code that later GPUs can
     run too, of which the newest in LIST is added if LIST names none (default: GPUQUEUE_CUDA_ARCHS, else sm_75 and all
     later ones that nvcc knows)])],
  [], [with_cuda_archs=])
AC_ARG_VAR([NVCC], [the CUDA compiler])
AC_ARG_VAR([NVCCFLAGS], [flags for nvcc])
AC_ARG_VAR([GPUQUEUE_CUDA_ARCHS], [GPUs to compile for, if --with-cuda-archs does not say])
: "${NVCCFLAGS=-O3}"

gq_have_cuda=no
gq_cuda_why_not=
gq_cuda_archs=
gq_nvcc_version=
GQ_NVCC_GENCODE=
gq_archs_asked=$with_cuda_archs
gq_archs_from=--with-cuda-archs
AS_IF([test -z "$gq_archs_asked"], [gq_archs_asked=$GPUQUEUE_CUDA_ARCHS; gq_archs_from=GPUQUEUE_CUDA_ARCHS])
AS_CASE(["$gq_archs_asked"],
  [yes|no], [AC_MSG_ERROR([--with-cuda-archs=$gq_archs_asked: give a list such as "80 90"; --with-cuda=no leaves GPU code out])])

AS_CASE([$with_cuda],
  [no], [gq_cuda_why_not="--with-cuda=no"
    AS_IF([test -n "$with_cuda_archs"], [AC_MSG_ERROR([--with-cuda=no and --with-cuda-archs contradict each other])])],
  [yes|auto], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH$PATH_SEPARATOR/usr/local/cuda/bin])],
  [AS_IF([test -x "$with_cuda/bin/nvcc"], [NVCC=$with_cuda/bin/nvcc],
    [AC_MSG_ERROR([--with-cuda=$with_cuda: no nvcc in $with_cuda/bin; DIR is a toolkit such as /usr/local/cuda])])])

AS_IF([test $with_cuda != no], [
  AS_IF([test -z "$NVCC"], [gq_cuda_why_not="no nvcc on PATH or in /usr/local/cuda/bin (--with-cuda=DIR)"], [
    gq_nvcc_version=`"$NVCC" --version 2>/dev/null | $SED -n 's/.*release \(@<:@0-9.@:>@*\).*/\1/p'`
    GQ_CUDA_KNOWN_ARCHS
    GQ_CUDA_TRY_NVCC
  ])
  AS_IF([test -n "$gq_cuda_why_not"], [
    AS_IF([test $with_cuda != auto], [AC_MSG_ERROR([--with-cuda=$with_cuda: $gq_cuda_why_not])])
    AS_IF([test -n "$gq_archs_asked"],
      [AC_MSG_ERROR([$gq_archs_from="$gq_archs_asked" cannot be met: $gq_cuda_why_not])])
  ], [
    gq_have_cuda=yes
    GQ_CUDA_CHOOSE_ARCHS
  ])
])

AS_IF([test $gq_have_cuda = yes], [
  AC_DEFINE([GQ_HAVE_FATBINS], [1], [Whether there is GPU code to be embedded])
  AC_DEFINE([GQ_LINKED_FATBIN], ["cuda/linked.fatbin"], [File with the kernel that handlers are linked with at run time])
  gq_toolkit=`dirname "$NVCC"`/..
  AS_IF([test -r "$gq_toolkit/include/cuda.h"], [GQ_CUDA_CPPFLAGS="-isystem $gq_toolkit/include"])
  AC_DEFINE_UNQUOTED([GQ_NVCC], ["$gq_nvcc_version $NVCC $NVCCFLAGS"], [What compiled the GPU code])
])
gq_nvcc_major=`echo "${gq_nvcc_version:-0.0}" | cut -d. -f1`
gq_nvcc_minor=`echo "${gq_nvcc_version:-0.0}" | cut -d. -f2`
AC_DEFINE_UNQUOTED([GQ_NVCC_MAJOR], [$gq_nvcc_major], [CUDA version of nvcc; 0: none])
AC_DEFINE_UNQUOTED([GQ_NVCC_MINOR], [$gq_nvcc_minor], [CUDA version of nvcc])
AC_DEFINE_UNQUOTED([GQ_CUDA_ARCHS], ["$gq_cuda_archs"], [GPU code in the library, such as "sm_80 sm_90 ptx_90"])
AC_SUBST([GQ_NVCC_GENCODE])
# For one test only: the library declares what it uses of the driver by itself.
AC_SUBST([GQ_CUDA_CPPFLAGS])
AM_CONDITIONAL([HAVE_NVCC], [test $gq_have_cuda = yes])
])

# Compile a kernel that uses the newest thing the resident kernel needs. Sets gq_cuda_why_not on failure.
AC_DEFUN([GQ_CUDA_TRY_NVCC], [
AC_MSG_CHECKING([whether $NVCC compiles 16-byte relaxed loads])
AS_IF([test -z "$gq_known_archs"], [
  AC_MSG_RESULT([no])
  gq_cuda_why_not="$NVCC does not answer --list-gpu-code with any GPU from sm_75 up (CUDA 12.3 or newer is needed)"
], [
  cat >conftest.cu <<'GQ_EOF'
__global__ void probe(unsigned long long *p)
{
  asm volatile("{ .reg .b128 q; ld.relaxed.sys.global.b128 q, @<:@%0@:>@; st.relaxed.sys.global.b128 @<:@%0@:>@, q; }"
               :: "l"(p) : "memory");
}
GQ_EOF
  gq_oldest_arch=`echo $gq_known_archs | cut -d' ' -f1`
  AS_IF(["$NVCC" $NVCCFLAGS -fatbin -arch=sm_$gq_oldest_arch -o conftest.fatbin conftest.cu >conftest.err 2>&1],
    [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     cat conftest.err >&AS_MESSAGE_LOG_FD
     gq_cuda_why_not="nvcc ${gq_nvcc_version:-of unknown version} failed on a test kernel: `$SED -n '/./{p;q;}' conftest.err` (CUDA 12.3 or newer is needed; details in config.log)"])
  GQ_NVCC_COMPRESS=
  AS_IF(["$NVCC" $NVCCFLAGS -fatbin --compress-mode=size -arch=sm_$gq_oldest_arch -o conftest.fatbin conftest.cu >/dev/null 2>&1],
    [GQ_NVCC_COMPRESS=--compress-mode=size])
  AC_SUBST([GQ_NVCC_COMPRESS])
  rm -f conftest.cu conftest.err conftest.fatbin
])
])

# From gq_archs_asked and gq_known_archs: GQ_NVCC_GENCODE and gq_cuda_archs.
AC_DEFUN([GQ_CUDA_CHOOSE_ARCHS], [
AC_MSG_CHECKING([which GPUs to compile for])
gq_sm_list=
gq_ptx_list=
gq_list=`echo "${gq_archs_asked:-$gq_known_archs}" | tr ',;' '  '`
for gq_arch in $gq_list; do
  gq_number=`echo "$gq_arch" | $SED 's/^sm_//; s/^ptx_//'`
  AS_CASE([" $gq_known_archs "], [*" $gq_number "*], [],
    [AC_MSG_RESULT([])
     AC_MSG_ERROR([$gq_archs_from: unknown architecture "$gq_arch"; nvcc $gq_nvcc_version knows: $gq_known_archs (write NN, sm_NN or ptx_NN)])])
  AS_CASE([$gq_arch],
    [ptx_*], [gq_ptx_list="$gq_ptx_list $gq_number"],
    [gq_sm_list="$gq_sm_list $gq_number"])
done
gq_sm_list=`for n in $gq_sm_list; do echo $n; done | sort -nu | tr '\n' ' '`
gq_ptx_list=`for n in $gq_ptx_list; do echo $n; done | sort -nu | tr '\n' ' '`
AS_IF([test -z "$gq_ptx_list"], [gq_ptx_list=`for n in $gq_sm_list; do echo $n; done | tail -n 1`])
for gq_number in $gq_sm_list; do
  GQ_NVCC_GENCODE="$GQ_NVCC_GENCODE -gencode arch=compute_$gq_number,code=sm_$gq_number"
  gq_cuda_archs="$gq_cuda_archs sm_$gq_number"
done
for gq_number in $gq_ptx_list; do
  GQ_NVCC_GENCODE="$GQ_NVCC_GENCODE -gencode arch=compute_$gq_number,code=compute_$gq_number"
  gq_cuda_archs="$gq_cuda_archs ptx_$gq_number"
done
gq_cuda_archs=`echo $gq_cuda_archs`
AS_IF([test -z "$gq_cuda_archs"],
  [AC_MSG_RESULT([])
   AC_MSG_ERROR([$gq_archs_from="$gq_archs_asked" names no architecture; nvcc $gq_nvcc_version knows: $gq_known_archs])])
AC_MSG_RESULT([$gq_cuda_archs])
])
