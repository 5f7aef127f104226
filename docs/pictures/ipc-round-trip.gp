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
set yrange [86.38:1.632e+05]
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
64 108
1024 426.9
4096 1239
65536 1.022e+04
END
$p0_1 << END
64 143
1024 364.3
4096 985.2
65536 9602
END
$p0_2 << END
64 279.8
1024 488.9
4096 1264
65536 1.278e+04
END
$p0_3 << END
64 325.8
1024 575.2
4096 1401
65536 1.539e+04
END
$p0_4 << END
64 328
1024 570.2
4096 1391
65536 1.918e+04
END
$p0_5 << END
64 534.9
1024 584
4096 1164
65536 1.857e+04
END
$p0_6 << END
64 1066
1024 1176
4096 1720
65536 2.403e+04
END
$p0_7 << END
64 1746
1024 1844
4096 2375
65536 1.978e+04
END
$p0_8 << END
64 2656
1024 3358
4096 4919
END
$p0_9 << END
64 3404
1024 4103
4096 5253
65536 1.502e+04
END
$p0_10 << END
64 3491
1024 4117
4096 4757
65536 1.528e+04
END
$p0_11 << END
64 4.432e+04
1024 4.833e+04
4096 5.288e+04
65536 9.168e+04
END
$p0_12 << END
64 8.898e+04
1024 8.943e+04
4096 9.164e+04
65536 1.118e+05
END
unset key
plot $p0_0 using 1:2 notitle \
        with lines linecolor rgb "#000000" linewidth 2.5 dashtype (5,3), \
    $p0_2 using 1:2 notitle \
        with linespoints linecolor rgb "#0072B2" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    $p0_3 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype 1 pointtype 9 pointsize 0.8, \
    $p0_4 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype (7,3,1.5,3) pointtype 8 pointsize 0.8, \
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
64 420
1024 1661
4096 4961
65536 5.584e+04
END
$p1_1 << END
64 490.7
1024 1496
4096 3815
65536 3.646e+04
END
$p1_2 << END
64 1053
1024 1972
4096 4899
65536 6.37e+04
END
$p1_3 << END
64 1175
1024 1972
4096 5207
65536 6.415e+04
END
$p1_4 << END
64 1164
1024 1967
4096 5117
65536 4.691e+04
END
$p1_5 << END
64 1816
1024 1755
4096 4553
65536 4.735e+04
END
$p1_6 << END
64 2457
1024 2610
4096 5676
65536 4.288e+04
END
$p1_7 << END
64 4457
1024 4774
4096 6617
65536 7.241e+04
END
$p1_8 << END
64 4460
1024 5213
4096 1.106e+04
END
$p1_9 << END
64 5623
1024 6058
4096 8160
65536 2.775e+04
END
$p1_10 << END
64 5623
1024 6160
4096 9554
65536 2.374e+04
END
$p1_11 << END
64 5.462e+04
1024 5.988e+04
4096 7.132e+04
65536 1.132e+05
END
$p1_12 << END
64 9.769e+04
1024 9.877e+04
4096 1.012e+05
65536 1.306e+05
END
set key at screen 0.8411,0.9043 left top Left reverse samplen 2.5 spacing 1.15
plot $p1_0 using 1:2 notitle \
        with lines linecolor rgb "#000000" linewidth 2.5 dashtype (5,3), \
    $p1_2 using 1:2 notitle \
        with linespoints linecolor rgb "#0072B2" linewidth 1.3 dashtype 1 pointtype 5 pointsize 0.8, \
    $p1_3 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype 1 pointtype 9 pointsize 0.8, \
    $p1_4 using 1:2 notitle \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype (7,3,1.5,3) pointtype 8 pointsize 0.8, \
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
    NaN title "UCX" \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype 1 pointtype 9 pointsize 0.8, \
    NaN title "UCX with CMA" \
        with linespoints linecolor rgb "#009E73" linewidth 1.3 dashtype (7,3,1.5,3) pointtype 8 pointsize 0.8, \
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
