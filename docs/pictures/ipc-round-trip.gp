# SPDX-License-Identifier: BSD-3-Clause
# Made by tests/bench/ipc/run: round trips by size, both sides spinning.
# It draws itself: gnuplot -e "kind='svg'; drawn='FILE'" ipc-round-trip.gp
if (!exists("kind")) kind = "svg"
if (!exists("drawn")) drawn = "ipc-round-trip." . kind
set encoding utf8
if (kind eq "png") {
    set terminal pngcairo enhanced size 1605,705 font "sans,10" fontscale 1.5 linewidth 1.5 \
        pointscale 1.5 background "#ffffff"
} else {
    set terminal svg enhanced size 1070,470 font "sans,11" background "#ffffff"
}
set output drawn
set multiplot
set grid linecolor rgb "#E4E4E4" linetype 1 linewidth 1
set border linecolor rgb "#808080"
set tics textcolor rgb "#202020" nomirror
set logscale xy
set xrange [45:92000]
set yrange [87.13:1.674e+05]
set xtics ()
set xtics add ("64 B" 64)
set xtics add ("1 KiB" 1024)
set xtics add ("4 KiB" 4096)
set xtics add ("64 KiB" 65536)
set ytics ()
set ytics add ("1 ns" 1)
set ytics add ("2 ns" 2)
set ytics add ("5 ns" 5)
set ytics add ("10 ns" 10)
set ytics add ("20 ns" 20)
set ytics add ("50 ns" 50)
set ytics add ("100 ns" 100)
set ytics add ("200 ns" 200)
set ytics add ("500 ns" 500)
set ytics add ("1 µs" 1000)
set ytics add ("2 µs" 2000)
set ytics add ("5 µs" 5000)
set ytics add ("10 µs" 10000)
set ytics add ("20 µs" 20000)
set ytics add ("50 µs" 50000)
set ytics add ("100 µs" 100000)
set ytics add ("200 µs" 200000)
set ytics add ("500 µs" 500000)
set ytics add ("1 ms" 1e+06)
set ytics add ("2 ms" 2e+06)
set ytics add ("5 ms" 5e+06)
set ytics add ("10 ms" 1e+07)
set ytics add ("20 ms" 2e+07)
set ytics add ("50 ms" 5e+07)
set ytics add ("100 ms" 1e+08)
set ytics add ("200 ms" 2e+08)
set ytics add ("500 ms" 5e+08)

set title "Round trip, both sides spin: processors near (siblings)" offset 0,-0.4
set lmargin at screen 0.0701
set rmargin at screen 0.4346
set tmargin at screen 0.9043
set bmargin at screen 0.0851
$p0_0 << END
64 108.9
1024 420.6
4096 1240
65536 1.008e+04
END
$p0_1 << END
64 132.7
1024 348
4096 954.5
65536 9609
END
$p0_2 << END
64 277.3
1024 483.8
4096 1237
65536 1.288e+04
END
$p0_3 << END
64 319.9
1024 566.5
4096 1369
65536 1.915e+04
END
$p0_4 << END
64 322
1024 567.4
4096 1369
65536 1.53e+04
END
$p0_5 << END
64 526.4
1024 574
4096 1134
65536 1.858e+04
END
$p0_6 << END
64 1056
1024 1177
4096 1704
65536 2.384e+04
END
$p0_7 << END
64 1737
1024 1813
4096 2339
65536 1.982e+04
END
$p0_8 << END
64 2663
1024 3065
4096 4771
END
$p0_9 << END
64 3387
1024 3797
4096 5273
65536 1.497e+04
END
$p0_10 << END
64 3471
1024 3794
4096 4748
65536 1.523e+04
END
$p0_11 << END
64 4.435e+04
1024 4.561e+04
4096 4.865e+04
65536 9.02e+04
END
$p0_12 << END
64 8.786e+04
1024 8.863e+04
4096 9.083e+04
65536 1.114e+05
END
unset key
plot $p0_0 using 1:2 notitle \
        with lines linecolor rgb "#000000" linewidth 2.5 dashtype (5,3), \
    $p0_2 using 1:2 notitle \
        with linespoints linecolor rgb "#0072B2" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    $p0_3 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype (7,3,1.5,3) pointtype 8 pointsize 0.8, \
    $p0_4 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype 1 pointtype 9 pointsize 0.8, \
    $p0_5 using 1:2 notitle \
        with linespoints linecolor rgb "#117733" linewidth 1.3 dashtype 1 pointtype 3 pointsize 0.8, \
    $p0_6 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 4 pointsize 0.8, \
    $p0_7 using 1:2 notitle \
        with linespoints linecolor rgb "#CC79A7" linewidth 1.3 dashtype 1 pointtype 11 pointsize 0.8, \
    $p0_8 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 10 pointsize 0.8, \
    $p0_9 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 6 pointsize 0.8, \
    $p0_10 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 8 pointsize 0.8, \
    $p0_11 using 1:2 notitle \
        with linespoints linecolor rgb "#E69F00" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    $p0_12 using 1:2 notitle \
        with linespoints linecolor rgb "#5D3A9B" linewidth 1.3 dashtype 1 pointtype 13 pointsize 0.8, \
    $p0_1 using 1:2 notitle \
        with linespoints linecolor rgb "#D55E00" linewidth 4 pointtype 7 pointsize 0.8

set title "Round trip, both sides spin: processors far apart" offset 0,-0.4
set lmargin at screen 0.4533
set rmargin at screen 0.8178
set tmargin at screen 0.9043
set bmargin at screen 0.0851
set format y ""
set ytics ()
set ytics add ("" 1)
set ytics add ("" 2)
set ytics add ("" 5)
set ytics add ("" 10)
set ytics add ("" 20)
set ytics add ("" 50)
set ytics add ("" 100)
set ytics add ("" 200)
set ytics add ("" 500)
set ytics add ("" 1000)
set ytics add ("" 2000)
set ytics add ("" 5000)
set ytics add ("" 10000)
set ytics add ("" 20000)
set ytics add ("" 50000)
set ytics add ("" 100000)
set ytics add ("" 200000)
set ytics add ("" 500000)
set ytics add ("" 1e+06)
set ytics add ("" 2e+06)
set ytics add ("" 5e+06)
set ytics add ("" 1e+07)
set ytics add ("" 2e+07)
set ytics add ("" 5e+07)
set ytics add ("" 1e+08)
set ytics add ("" 2e+08)
set ytics add ("" 5e+08)
$p1_0 << END
64 425
1024 1662
4096 5015
65536 5.569e+04
END
$p1_1 << END
64 464.4
1024 1466
4096 4091
65536 5.383e+04
END
$p1_2 << END
64 1061
1024 1960
4096 4992
65536 5.46e+04
END
$p1_3 << END
64 1153
1024 2004
4096 5155
65536 4.681e+04
END
$p1_4 << END
64 1153
1024 1996
4096 5180
65536 6.042e+04
END
$p1_5 << END
64 1798
1024 1796
4096 4432
65536 4.728e+04
END
$p1_6 << END
64 2428
1024 2647
4096 5682
65536 4.317e+04
END
$p1_7 << END
64 4515
1024 4744
4096 7009
65536 7.08e+04
END
$p1_8 << END
64 4565
1024 5164
4096 1.134e+04
END
$p1_9 << END
64 5609
1024 6021
4096 8280
65536 2.763e+04
END
$p1_10 << END
64 5523
1024 5979
4096 9622
65536 2.371e+04
END
$p1_11 << END
64 5.882e+04
1024 5.63e+04
4096 7.108e+04
65536 1.141e+05
END
$p1_12 << END
64 9.822e+04
1024 9.868e+04
4096 1.023e+05
65536 1.339e+05
END
set key at screen 0.8411,0.9043 left top Left reverse samplen 2.5 spacing 1.15
plot $p1_0 using 1:2 notitle \
        with lines linecolor rgb "#000000" linewidth 2.5 dashtype (5,3), \
    $p1_2 using 1:2 notitle \
        with linespoints linecolor rgb "#0072B2" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    $p1_3 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype (7,3,1.5,3) pointtype 8 pointsize 0.8, \
    $p1_4 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype 1 pointtype 9 pointsize 0.8, \
    $p1_5 using 1:2 notitle \
        with linespoints linecolor rgb "#117733" linewidth 1.3 dashtype 1 pointtype 3 pointsize 0.8, \
    $p1_6 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 4 pointsize 0.8, \
    $p1_7 using 1:2 notitle \
        with linespoints linecolor rgb "#CC79A7" linewidth 1.3 dashtype 1 pointtype 11 pointsize 0.8, \
    $p1_8 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 10 pointsize 0.8, \
    $p1_9 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 6 pointsize 0.8, \
    $p1_10 using 1:2 notitle \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 8 pointsize 0.8, \
    $p1_11 using 1:2 notitle \
        with linespoints linecolor rgb "#E69F00" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    $p1_12 using 1:2 notitle \
        with linespoints linecolor rgb "#5D3A9B" linewidth 1.3 dashtype 1 pointtype 13 pointsize 0.8, \
    $p1_1 using 1:2 notitle \
        with linespoints linecolor rgb "#D55E00" linewidth 4 pointtype 7 pointsize 0.8, \
    NaN title "ring" \
        with lines linecolor rgb "#000000" linewidth 2.5 dashtype (5,3), \
    NaN title "{/:Bold vopipc (ours)}" \
        with linespoints linecolor rgb "#D55E00" linewidth 4 pointtype 7 pointsize 0.8, \
    NaN title "DPDK rte\\_ring" \
        with linespoints linecolor rgb "#0072B2" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    NaN title "UCX with CMA" \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype (7,3,1.5,3) pointtype 8 pointsize 0.8, \
    NaN title "UCX" \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype 1 pointtype 9 pointsize 0.8, \
    NaN title "libfabric shm" \
        with linespoints linecolor rgb "#117733" linewidth 1.3 dashtype 1 pointtype 3 pointsize 0.8, \
    NaN title "pipe" \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 4 pointsize 0.8, \
    NaN title "iceoryx" \
        with linespoints linecolor rgb "#CC79A7" linewidth 1.3 dashtype 1 pointtype 11 pointsize 0.8, \
    NaN title "POSIX mq" \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 10 pointsize 0.8, \
    NaN title "Unix stream" \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 6 pointsize 0.8, \
    NaN title "Unix seqpacket" \
        with linespoints linecolor rgb "#56B4E9" linewidth 1.3 dashtype 1 pointtype 8 pointsize 0.8, \
    NaN title "ZeroMQ" \
        with linespoints linecolor rgb "#E69F00" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    NaN title "nng" \
        with linespoints linecolor rgb "#5D3A9B" linewidth 1.3 dashtype 1 pointtype 13 pointsize 0.8
unset multiplot
unset output
