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
0 99.523 "99.5 ns" 11579568
1 108.91 "109 ns" 11579568
2 132.7 "133 ns" 13983232
3 132.7 "133 ns" 15904899
4 135.2 "135 ns" 15904899
5 277.29 "277 ns" 7057110
6 319.85 "320 ns" 7057110
7 322.04 "322 ns" 7057110
8 526.41 "526 ns" 7057110
9 1055.9 "1056 ns" 7057110
10 1736.6 "1737 ns" 7057110
11 2662.7 "2663 ns" 7057110
12 3386.9 "3387 ns" 7057110
13 3470.8 "3471 ns" 7057110
14 44351 "44.4 µs" 7057110
15 87861 "87.9 µs" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [49.76:8.277e+05]
set yrange [15.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring with a wake flag" 0)
set ytics add ("ring" 1)
set ytics add ("{/:Bold vopipc (ours)}" 2)
set ytics add ("vopipc static" 3)
set ytics add ("vopipc LTO" 4)
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
plot $b0_0 using 2:1:(49.76):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Round trip, 64 B, spinning, far apart" offset 0,-0.4
set lmargin at screen 0.6950
set rmargin at screen 0.9800
set tmargin at screen 0.9027
set bmargin at screen 0.6577
$b0_1 << END
0 408.11 "408 ns" 11579568
1 425.01 "425 ns" 11579568
2 464.44 "464 ns" 13983232
3 471.33 "471 ns" 15904899
4 474.77 "475 ns" 15904899
5 1061 "1061 ns" 7057110
6 1152.7 "1153 ns" 7057110
7 1153.3 "1153 ns" 7057110
8 1797.7 "1798 ns" 7057110
9 2428.1 "2428 ns" 7057110
10 4515.2 "4515 ns" 7057110
11 4564.9 "4565 ns" 7057110
12 5523.2 "5523 ns" 7057110
13 5609 "5609 ns" 7057110
14 58820 "58.8 µs" 7057110
15 98224 "98.2 µs" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [204.1:6.266e+05]
set yrange [15.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring with a wake flag" 0)
set ytics add ("ring" 1)
set ytics add ("{/:Bold vopipc (ours)}" 2)
set ytics add ("vopipc LTO" 3)
set ytics add ("vopipc static" 4)
set ytics add ("DPDK rte\\_ring" 5)
set ytics add ("UCX" 6)
set ytics add ("UCX with CMA" 7)
set ytics add ("libfabric shm" 8)
set ytics add ("pipe" 9)
set ytics add ("iceoryx" 10)
set ytics add ("POSIX mq" 11)
set ytics add ("Unix seqpacket" 12)
set ytics add ("Unix stream" 13)
set ytics add ("ZeroMQ" 14)
set ytics add ("nng" 15)
set ytics scale 0
plot $b0_1 using 2:1:(204.1):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Messages a second, 64 B, spinning, near" offset 0,-0.4
set lmargin at screen 0.2050
set rmargin at screen 0.4900
set tmargin at screen 0.6081
set bmargin at screen 0.2712
$b1_0 << END
0 117.73 "118 M/s" 11579568
1 116.75 "117 M/s" 11579568
2 65.108 "65.1 M/s" 15904899
3 64.039 "64 M/s" 13983232
4 63.91 "63.9 M/s" 15904899
5 36.878 "36.9 M/s" 11579568
6 36.201 "36.2 M/s" 11579568
7 31.456 "31.5 M/s" 7057110
8 29.055 "29.1 M/s" 13983232
9 28.781 "28.8 M/s" 15904899
10 28.707 "28.7 M/s" 15904899
11 19.555 "19.6 M/s" 7057110
12 19.254 "19.3 M/s" 7057110
13 13.76 "13.8 M/s" 7057110
14 3.2067 "3.21 M/s" 7057110
15 2.5644 "2.56 M/s" 7057110
16 1.2877 "1.29 M/s" 7057110
17 1.2082 "1.21 M/s" 7057110
18 1.0738 "1.07 M/s" 7057110
19 1.0264 "1.03 M/s" 7057110
20 0.86424 "0.864 M/s" 7057110
21 0.13815 "0.138 M/s" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [0.06908:1097]
set yrange [21.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring × 16" 0)
set ytics add ("ring with a wake flag × 16" 1)
set ytics add ("vopipc LTO × 16" 2)
set ytics add ("{/:Bold vopipc (ours)} × 16" 3)
set ytics add ("vopipc static × 16" 4)
set ytics add ("ring" 5)
set ytics add ("ring with a wake flag" 6)
set ytics add ("DPDK rte\\_ring × 16" 7)
set ytics add ("{/:Bold vopipc (ours)}" 8)
set ytics add ("vopipc LTO" 9)
set ytics add ("vopipc static" 10)
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
plot $b1_0 using 2:1:(0.06908):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Messages a second, 64 B, spinning, far apart" offset 0,-0.4
set lmargin at screen 0.6950
set rmargin at screen 0.9800
set tmargin at screen 0.6081
set bmargin at screen 0.2712
$b1_1 << END
0 35.861 "35.9 M/s" 11579568
1 35.145 "35.1 M/s" 11579568
2 20.678 "20.7 M/s" 11579568
3 19.763 "19.8 M/s" 15904899
4 19.359 "19.4 M/s" 13983232
5 19.357 "19.4 M/s" 15904899
6 16.847 "16.8 M/s" 11579568
7 9.0515 "9.05 M/s" 7057110
8 7.1766 "7.18 M/s" 15904899
9 6.9986 "7 M/s" 13983232
10 6.9821 "6.98 M/s" 15904899
11 6.0899 "6.09 M/s" 7057110
12 5.8539 "5.85 M/s" 7057110
13 3.9929 "3.99 M/s" 7057110
14 1.7738 "1.77 M/s" 7057110
15 0.88301 "0.883 M/s" 7057110
16 0.86305 "0.863 M/s" 7057110
17 0.69019 "0.69 M/s" 7057110
18 0.68094 "0.681 M/s" 7057110
19 0.66696 "0.667 M/s" 7057110
20 0.49808 "0.498 M/s" 7057110
21 0.19544 "0.195 M/s" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [0.09772:210.9]
set yrange [21.6:-0.6]
set border 2
set ytics ()
set ytics add ("ring with a wake flag × 16" 0)
set ytics add ("ring × 16" 1)
set ytics add ("ring" 2)
set ytics add ("vopipc LTO × 16" 3)
set ytics add ("{/:Bold vopipc (ours)} × 16" 4)
set ytics add ("vopipc static × 16" 5)
set ytics add ("ring with a wake flag" 6)
set ytics add ("DPDK rte\\_ring × 16" 7)
set ytics add ("vopipc LTO" 8)
set ytics add ("{/:Bold vopipc (ours)}" 9)
set ytics add ("vopipc static" 10)
set ytics add ("UCX" 11)
set ytics add ("UCX with CMA" 12)
set ytics add ("DPDK rte\\_ring" 13)
set ytics add ("libfabric shm" 14)
set ytics add ("pipe" 15)
set ytics add ("ZeroMQ" 16)
set ytics add ("Unix seqpacket" 17)
set ytics add ("Unix stream" 18)
set ytics add ("POSIX mq" 19)
set ytics add ("iceoryx" 20)
set ytics add ("nng" 21)
set ytics scale 0
plot $b1_1 using 2:1:(0.09772):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Round trip, 64 B, sleeping" offset 0,-0.4
set lmargin at screen 0.2050
set rmargin at screen 0.4900
set tmargin at screen 0.2216
set bmargin at screen 0.0225
$b2_0 << END
0 1855.9 "1856 ns" 7057110
1 1855.9 "1856 ns" 7057110
2 29113 "29.1 µs" 7057110
3 32964 "33 µs" 11579568
4 33505 "33.5 µs" 11579568
5 33730 "33.7 µs" 7057110
6 34003 "34 µs" 15904899
7 34647 "34.6 µs" 7057110
8 37185 "37.2 µs" 7057110
9 38688 "38.7 µs" 7057110
10 39073 "39.1 µs" 13983232
11 65214 "65.2 µs" 7057110
12 1.0036e+05 "100 µs" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [927.9:4.09e+05]
set yrange [12.6:-0.6]
set border 2
set ytics ()
set ytics add ("UCX with CMA (awake)" 0)
set ytics add ("UCX (awake)" 1)
set ytics add ("Unix stream" 2)
set ytics add ("eventfd" 3)
set ytics add ("futex" 4)
set ytics add ("pipe" 5)
set ytics add ("vopipc futex" 6)
set ytics add ("POSIX mq" 7)
set ytics add ("Unix seqpacket" 8)
set ytics add ("iceoryx" 9)
set ytics add ("{/:Bold vopipc (ours)}" 10)
set ytics add ("ZeroMQ" 11)
set ytics add ("nng" 12)
set ytics scale 0
plot $b2_0 using 2:1:(927.9):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "Messages a second, 64 B, sleeping" offset 0,-0.4
set lmargin at screen 0.6950
set rmargin at screen 0.9800
set tmargin at screen 0.2216
set bmargin at screen 0.0225
$b2_1 << END
0 50.151 "50.2 M/s" 15904899
1 29.248 "29.2 M/s" 15904899
2 28.088 "28.1 M/s" 13983232
3 19.663 "19.7 M/s" 7057110
4 18.541 "18.5 M/s" 7057110
5 3.6896 "3.69 M/s" 13983232
6 2.562 "2.56 M/s" 7057110
7 1.37 "1.37 M/s" 7057110
8 1.1738 "1.17 M/s" 7057110
9 1.0354 "1.04 M/s" 7057110
10 0.97484 "0.975 M/s" 7057110
11 0.17106 "0.171 M/s" 7057110
12 0.10183 "0.102 M/s" 7057110
END
unset key
unset grid
set logscale x
unset xtics
set xrange [0.05091:396.6]
set yrange [12.6:-0.6]
set border 2
set ytics ()
set ytics add ("vopipc futex × 16" 0)
set ytics add ("vopipc futex" 1)
set ytics add ("{/:Bold vopipc (ours)}" 2)
set ytics add ("UCX (awake)" 3)
set ytics add ("UCX with CMA (awake)" 4)
set ytics add ("{/:Bold vopipc (ours)} × 16" 5)
set ytics add ("pipe" 6)
set ytics add ("POSIX mq" 7)
set ytics add ("iceoryx" 8)
set ytics add ("Unix seqpacket" 9)
set ytics add ("Unix stream" 10)
set ytics add ("nng" 11)
set ytics add ("ZeroMQ" 12)
set ytics scale 0
plot $b2_1 using 2:1:(0.05091):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_1 using 2:1:3 with labels left offset 0.4,0
unset label
unset multiplot
unset output
