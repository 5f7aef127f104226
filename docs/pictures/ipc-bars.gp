# SPDX-License-Identifier: BSD-3-Clause
# Made by tests/bench/ipc/run: small messages, sorted.
# It draws itself: gnuplot -e "kind='svg'; drawn='FILE'" ipc-bars.gp
if (!exists("kind")) kind = "svg"
if (!exists("drawn")) drawn = "ipc-bars." . kind
set encoding utf8
if (kind eq "png") {
    set terminal pngcairo enhanced size 1500,1665 font "sans,10" fontscale 1.5 linewidth 1.5 \
        pointscale 1.5 background "#ffffff"
} else {
    set terminal svg enhanced size 1000,1110 font "sans,11" background "#ffffff"
}
set output drawn
set multiplot
set grid linecolor rgb "#E4E4E4" linetype 1 linewidth 1
set border linecolor rgb "#808080"
set tics textcolor rgb "#202020" nomirror
set label 1 "{/:Bold orange}: this library (pale: static, and with LTO)    {/:Bold blue}: others" \
    at screen 0.5,0.9820 center
set label 2 "{/:Bold grey}: floors, which carry nothing or check nothing    × 16: in batches of 16    M: million" \
    at screen 0.5,0.9658 center
set label 3 "Bars are logarithmic, and the best is on top. Awake: told to sleep, but it does not" \
    at screen 0.5,0.9495 center

set title "Round trip, 64 B, spinning, near" offset 0,-0.4
set lmargin at screen 0.2050
set rmargin at screen 0.4900
set tmargin at screen 0.9027
set bmargin at screen 0.6577
$b0_0 << END
0 102.34 "102 ns" 11579568
1 107.97 "108 ns" 11579568
2 139.58 "140 ns" 15904899
3 142.09 "142 ns" 15904899
4 143.03 "143 ns" 13983232
5 279.79 "280 ns" 7057110
6 325.8 "326 ns" 7057110
7 327.99 "328 ns" 7057110
8 534.86 "535 ns" 7057110
9 1066 "1066 ns" 7057110
10 1746.4 "1746 ns" 7057110
11 2656.5 "2656 ns" 7057110
12 3403.8 "3404 ns" 7057110
13 3491.5 "3491 ns" 7057110
14 44321 "44.3 µs" 7057110
15 88978 "89 µs" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [51.17:8.344e+05]
set yrange [15.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring with a wake flag" 0)
set ytics add ("ring" 1)
set ytics add ("vopipc LTO" 2)
set ytics add ("vopipc static" 3)
set ytics add ("{/:Bold vopipc (ours)}" 4)
set ytics add ("DPDK rte\\_ring" 5)
set ytics add ("UCX" 6)
set ytics add ("UCX with CMA" 7)
set ytics add ("libfabric shm" 8)
set ytics add ("pipe" 9)
set ytics add ("iceoryx" 10)
set ytics add ("POSIX mq" 11)
set ytics add ("Unix stream" 12)
set ytics add ("Unix seqpacket" 13)
set ytics add ("ZeroMQ" 14)
set ytics add ("nng" 15)
set ytics scale 0
plot $b0_0 using 2:1:(51.17):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Round trip, 64 B, spinning, far apart" offset 0,-0.4
set lmargin at screen 0.6950
set rmargin at screen 0.9800
set tmargin at screen 0.9027
set bmargin at screen 0.6577
$b0_1 << END
0 398.09 "398 ns" 11579568
1 420 "420 ns" 11579568
2 468.2 "468 ns" 15904899
3 490.73 "491 ns" 13983232
4 499.18 "499 ns" 15904899
5 1052.8 "1053 ns" 7057110
6 1164.2 "1164 ns" 7057110
7 1175 "1175 ns" 7057110
8 1816.5 "1816 ns" 7057110
9 2457.4 "2457 ns" 7057110
10 4457 "4457 ns" 7057110
11 4460.4 "4460 ns" 7057110
12 5623.4 "5623 ns" 7057110
13 5623.4 "5623 ns" 7057110
14 54619 "54.6 µs" 7057110
15 97686 "97.7 µs" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [199:6.267e+05]
set yrange [15.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring with a wake flag" 0)
set ytics add ("ring" 1)
set ytics add ("vopipc LTO" 2)
set ytics add ("{/:Bold vopipc (ours)}" 3)
set ytics add ("vopipc static" 4)
set ytics add ("DPDK rte\\_ring" 5)
set ytics add ("UCX with CMA" 6)
set ytics add ("UCX" 7)
set ytics add ("libfabric shm" 8)
set ytics add ("pipe" 9)
set ytics add ("iceoryx" 10)
set ytics add ("POSIX mq" 11)
set ytics add ("Unix stream" 12)
set ytics add ("Unix seqpacket" 13)
set ytics add ("ZeroMQ" 14)
set ytics add ("nng" 15)
set ytics scale 0
plot $b0_1 using 2:1:(199):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Messages a second, 64 B, spinning, near" offset 0,-0.4
set lmargin at screen 0.2050
set rmargin at screen 0.4900
set tmargin at screen 0.6081
set bmargin at screen 0.2712
$b1_0 << END
0 118.05 "118 M/s" 11579568
1 116.83 "117 M/s" 11579568
2 42.869 "42.9 M/s" 15904899
3 39.415 "39.4 M/s" 13983232
4 39.308 "39.3 M/s" 15904899
5 35.3 "35.3 M/s" 11579568
6 35.251 "35.3 M/s" 11579568
7 31.523 "31.5 M/s" 7057110
8 28.612 "28.6 M/s" 15904899
9 27.818 "27.8 M/s" 15904899
10 27.804 "27.8 M/s" 13983232
11 19.675 "19.7 M/s" 7057110
12 18.543 "18.5 M/s" 7057110
13 13.752 "13.8 M/s" 7057110
14 3.1755 "3.18 M/s" 7057110
15 2.5356 "2.54 M/s" 7057110
16 1.2812 "1.28 M/s" 7057110
17 1.1787 "1.18 M/s" 7057110
18 1.0563 "1.06 M/s" 7057110
19 1.0154 "1.02 M/s" 7057110
20 0.86349 "0.863 M/s" 7057110
21 0.15379 "0.154 M/s" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [0.0769:1066]
set yrange [21.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring × 16" 0)
set ytics add ("ring with a wake flag × 16" 1)
set ytics add ("vopipc LTO × 16" 2)
set ytics add ("{/:Bold vopipc (ours)} × 16" 3)
set ytics add ("vopipc static × 16" 4)
set ytics add ("ring with a wake flag" 5)
set ytics add ("ring" 6)
set ytics add ("DPDK rte\\_ring × 16" 7)
set ytics add ("vopipc static" 8)
set ytics add ("vopipc LTO" 9)
set ytics add ("{/:Bold vopipc (ours)}" 10)
set ytics add ("UCX" 11)
set ytics add ("UCX with CMA" 12)
set ytics add ("DPDK rte\\_ring" 13)
set ytics add ("libfabric shm" 14)
set ytics add ("pipe" 15)
set ytics add ("POSIX mq" 16)
set ytics add ("iceoryx" 17)
set ytics add ("Unix seqpacket" 18)
set ytics add ("Unix stream" 19)
set ytics add ("ZeroMQ" 20)
set ytics add ("nng" 21)
set ytics scale 0
plot $b1_0 using 2:1:(0.0769):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Messages a second, 64 B, spinning, far apart" offset 0,-0.4
set lmargin at screen 0.6950
set rmargin at screen 0.9800
set tmargin at screen 0.6081
set bmargin at screen 0.2712
$b1_1 << END
0 36.274 "36.3 M/s" 11579568
1 35.931 "35.9 M/s" 11579568
2 20.728 "20.7 M/s" 11579568
3 16.151 "16.2 M/s" 11579568
4 12.285 "12.3 M/s" 15904899
5 11.82 "11.8 M/s" 13983232
6 11.462 "11.5 M/s" 15904899
7 9.0774 "9.08 M/s" 7057110
8 6.4266 "6.43 M/s" 15904899
9 6.3228 "6.32 M/s" 13983232
10 6.2228 "6.22 M/s" 15904899
11 5.9245 "5.92 M/s" 7057110
12 5.8864 "5.89 M/s" 7057110
13 3.9308 "3.93 M/s" 7057110
14 1.7528 "1.75 M/s" 7057110
15 0.89818 "0.898 M/s" 7057110
16 0.86324 "0.863 M/s" 7057110
17 0.66746 "0.667 M/s" 7057110
18 0.66059 "0.661 M/s" 7057110
19 0.64607 "0.646 M/s" 7057110
20 0.51088 "0.511 M/s" 7057110
21 0.097351 "0.0974 M/s" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [0.04868:263.8]
set yrange [21.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring × 16" 0)
set ytics add ("ring with a wake flag × 16" 1)
set ytics add ("ring" 2)
set ytics add ("ring with a wake flag" 3)
set ytics add ("vopipc LTO × 16" 4)
set ytics add ("{/:Bold vopipc (ours)} × 16" 5)
set ytics add ("vopipc static × 16" 6)
set ytics add ("DPDK rte\\_ring × 16" 7)
set ytics add ("vopipc LTO" 8)
set ytics add ("{/:Bold vopipc (ours)}" 9)
set ytics add ("vopipc static" 10)
set ytics add ("UCX with CMA" 11)
set ytics add ("UCX" 12)
set ytics add ("DPDK rte\\_ring" 13)
set ytics add ("libfabric shm" 14)
set ytics add ("pipe" 15)
set ytics add ("ZeroMQ" 16)
set ytics add ("Unix seqpacket" 17)
set ytics add ("POSIX mq" 18)
set ytics add ("Unix stream" 19)
set ytics add ("iceoryx" 20)
set ytics add ("nng" 21)
set ytics scale 0
plot $b1_1 using 2:1:(0.04868):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Round trip, 64 B, sleeping" offset 0,-0.4
set lmargin at screen 0.2050
set rmargin at screen 0.4900
set tmargin at screen 0.2216
set bmargin at screen 0.0225
$b2_0 << END
0 1768.1 "1768 ns" 7057110
1 1998.9 "1999 ns" 7057110
2 29071 "29.1 µs" 7057110
3 32909 "32.9 µs" 11579568
4 33084 "33.1 µs" 7057110
5 33370 "33.4 µs" 11579568
6 34276 "34.3 µs" 15904899
7 35263 "35.3 µs" 7057110
8 37706 "37.7 µs" 7057110
9 39108 "39.1 µs" 7057110
10 39784 "39.8 µs" 13983232
11 67901 "67.9 µs" 7057110
12 1.0538e+05 "105 µs" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [884.1:4.422e+05]
set yrange [12.6:-0.6]
set border 2
set ytics ()
set ytics add ("UCX with CMA (awake)" 0)
set ytics add ("UCX (awake)" 1)
set ytics add ("Unix stream" 2)
set ytics add ("eventfd" 3)
set ytics add ("pipe" 4)
set ytics add ("futex" 5)
set ytics add ("vopipc futex" 6)
set ytics add ("POSIX mq" 7)
set ytics add ("Unix seqpacket" 8)
set ytics add ("iceoryx" 9)
set ytics add ("{/:Bold vopipc (ours)}" 10)
set ytics add ("ZeroMQ" 11)
set ytics add ("nng" 12)
set ytics scale 0
plot $b2_0 using 2:1:(884.1):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Messages a second, 64 B, sleeping" offset 0,-0.4
set lmargin at screen 0.6950
set rmargin at screen 0.9800
set tmargin at screen 0.2216
set bmargin at screen 0.0225
$b2_1 << END
0 28.377 "28.4 M/s" 13983232
1 28.216 "28.2 M/s" 15904899
2 20.797 "20.8 M/s" 15904899
3 19.702 "19.7 M/s" 7057110
4 18.335 "18.3 M/s" 7057110
5 3.4932 "3.49 M/s" 13983232
6 2.5584 "2.56 M/s" 7057110
7 1.2737 "1.27 M/s" 7057110
8 1.1611 "1.16 M/s" 7057110
9 0.96247 "0.962 M/s" 7057110
10 0.95789 "0.958 M/s" 7057110
11 0.16557 "0.166 M/s" 7057110
12 0.11676 "0.117 M/s" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [0.05838:181.5]
set yrange [12.6:-0.6]
set border 2
set ytics ()
set ytics add ("{/:Bold vopipc (ours)}" 0)
set ytics add ("vopipc futex" 1)
set ytics add ("vopipc futex × 16" 2)
set ytics add ("UCX with CMA (awake)" 3)
set ytics add ("UCX (awake)" 4)
set ytics add ("{/:Bold vopipc (ours)} × 16" 5)
set ytics add ("pipe" 6)
set ytics add ("POSIX mq" 7)
set ytics add ("iceoryx" 8)
set ytics add ("Unix stream" 9)
set ytics add ("Unix seqpacket" 10)
set ytics add ("nng" 11)
set ytics add ("ZeroMQ" 12)
set ytics scale 0
plot $b2_1 using 2:1:(0.05838):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_1 using 2:1:3 with labels left offset 0.4,0
unset label
unset multiplot
unset output
