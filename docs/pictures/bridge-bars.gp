# SPDX-License-Identifier: BSD-3-Clause
# Made by tests/bench/bridge/run: two namespaces joined in several ways.
# It draws itself: gnuplot -e "kind='svg'; drawn='FILE'" bridge-bars.gp
if (!exists("kind")) kind = "svg"
if (!exists("drawn")) drawn = "bridge-bars." . kind
set encoding utf8
if (kind eq "png") {
    set terminal pngcairo enhanced size 1680,1524 font "sans,10" fontscale 1.5 linewidth 1.5 \
        pointscale 1.5 background "#ffffff"
} else {
    set terminal svg enhanced size 1120,1016 font "sans,11" background "#ffffff"
}
set output drawn
set multiplot
set grid linecolor rgb "#E4E4E4" linetype 1 linewidth 1
set border linecolor rgb "#808080"
set tics textcolor rgb "#202020" nomirror
set label 1 "{/:Bold orange}: two vop-bridges    {/:Bold blue}: relays that know no link" \
    at screen 0.5,0.9803 center
set label 2 "{/:Bold pale}: others    {/:Bold grey}: veth pair    The best is on top" \
    at screen 0.5,0.9626 center

set title "TCP, 1 flow, cubic: Gbit/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.9193
set bmargin at screen 0.7520
$b0_0 << END
0 48.037 "48" 11579568
1 38.889 "38.9" 29362
2 36.073 "36.1" 29362
3 33.939 "33.9" 29362
4 31.258 "31.3" 29362
5 29.978 "30" 13983232
6 29.083 "29.1" 13983232
7 1.8083 "1.81" 7057110
8 1.1216 "1.12" 7057110
9 0.30922 "0.309" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:60.05]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("pair of relays" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 1 flow, bbr: Gbit/s" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.9193
set bmargin at screen 0.7520
$b0_1 << END
0 23.071 "23.1" 11579568
1 19.463 "19.5" 29362
2 17.79 "17.8" 29362
3 17.52 "17.5" 29362
4 15.61 "15.6" 13983232
5 15.598 "15.6" 29362
6 14.47 "14.5" 13983232
7 1.2254 "1.23" 7057110
8 1.1501 "1.15" 7057110
9 1.0732 "1.07" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:28.84]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay, 2 queues" 2)
set ytics add ("epoll relay" 3)
set ytics add ("vop-bridge" 4)
set ytics add ("pair of relays" 5)
set ytics add ("vop-bridge, 1 queue" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 4 flows, cubic: Gbit/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.9193
set bmargin at screen 0.7520
$b0_2 << END
0 51.745 "51.7" 11579568
1 34.328 "34.3" 29362
2 30.557 "30.6" 29362
3 29.309 "29.3" 29362
4 26.722 "26.7" 13983232
5 26.456 "26.5" 29362
6 26.437 "26.4" 13983232
7 1.6012 "1.6" 7057110
8 1.0791 "1.08" 7057110
9 0.5657 "0.566" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:64.68]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("pair of relays" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("vop-bridge, 1 queue" 4)
set ytics add ("epoll relay" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 4 flows, bbr: Gbit/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.7028
set bmargin at screen 0.5354
$b1_0 << END
0 58.869 "58.9" 11579568
1 25.288 "25.3" 29362
2 24.464 "24.5" 29362
3 23.966 "24" 29362
4 23.277 "23.3" 13983232
5 22.462 "22.5" 29362
6 22.329 "22.3" 13983232
7 1.15 "1.15" 7057110
8 1.1007 "1.1" 7057110
9 0.29191 "0.292" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:73.59]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay, 2 queues" 2)
set ytics add ("epoll relay" 3)
set ytics add ("vop-bridge, 1 queue" 4)
set ytics add ("pair of relays" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b1_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 64 B: thousand/s" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.7028
set bmargin at screen 0.5354
$b1_1 << END
0 397.21 "397" 13983232
1 362.94 "363" 29362
2 353.94 "354" 13983232
3 292.5 "293" 11579568
4 271.81 "272" 29362
5 263 "263" 29362
6 217.87 "218" 29362
7 193.63 "194" 7057110
8 121.34 "121" 7057110
9 74.395 "74.4" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:496.5]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("vop-bridge" 2)
set ytics add ("veth pair" 3)
set ytics add ("pair of relays" 4)
set ytics add ("epoll relay" 5)
set ytics add ("epoll relay, 2 queues" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b1_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B: thousand/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.7028
set bmargin at screen 0.5354
$b1_2 << END
0 419.14 "419" 13983232
1 402.95 "403" 13983232
2 348.21 "348" 29362
3 276.95 "277" 11579568
4 270.44 "270" 29362
5 230.9 "231" 29362
6 215.68 "216" 29362
7 177.71 "178" 7057110
8 125.24 "125" 7057110
9 46.089 "46.1" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:523.9]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("io\\_uring relay" 2)
set ytics add ("veth pair" 3)
set ytics add ("pair of relays" 4)
set ytics add ("epoll relay" 5)
set ytics add ("epoll relay, 2 queues" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b1_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B, sent with GSO: thousand/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.4862
set bmargin at screen 0.3189
$b2_0 << END
0 1322.1 "1322" 11579568
1 756.84 "757" 29362
2 752.07 "752" 13983232
3 744.71 "745" 13983232
4 740.87 "741" 29362
5 729.04 "729" 29362
6 701.28 "701" 29362
7 163.39 "163" 7057110
8 117.84 "118" 7057110
9 42.358 "42.4" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1653]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("pair of relays" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("vop-bridge" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("epoll relay" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b2_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 64 B, 50,000/s: % lost" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.4862
set bmargin at screen 0.3189
$b2_1 << END
0 0 "0" 11579568
1 0 "0" 13983232
2 0 "0" 13983232
3 0 "0" 29362
4 0 "0" 29362
5 0 "0" 29362
6 0 "0" 29362
7 0 "0" 7057110
8 0 "0" 7057110
9 0 "0" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pair of relays" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b2_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B, 50,000/s: % lost" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.4862
set bmargin at screen 0.3189
$b2_2 << END
0 0 "0" 11579568
1 0 "0" 13983232
2 0 "0" 13983232
3 0 "0" 29362
4 0 "0" 29362
5 0 "0" 29362
6 0 "0" 29362
7 0 "0" 7057110
8 0 "0" 7057110
9 0 "0" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pair of relays" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b2_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "request/response, 64 B: us, p50" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.2697
set bmargin at screen 0.1024
$b3_0 << END
0 22.334 "22.3" 13983232
1 23.395 "23.4" 13983232
2 55.213 "55.2" 11579568
3 63.235 "63.2" 29362
4 63.791 "63.8" 29362
5 63.886 "63.9" 29362
6 66.18 "66.2" 7057110
7 71.667 "71.7" 7057110
8 77.657 "77.7" 29362
9 80.535 "80.5" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:100.7]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("veth pair" 2)
set ytics add ("epoll relay" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("pasta" 6)
set ytics add ("socat" 7)
set ytics add ("pair of relays" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b3_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "ping under one TCP flow: ms, p95" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.2697
set bmargin at screen 0.1191
$b3_1 << END
0 0.024 "0.024" 11579568
1 0.258 "0.258" 13983232
2 0.31 "0.31" 29362
3 0.493 "0.493" 29362
4 0.493 "0.493" 29362
5 0.637 "0.637" 29362
6 0.833 "0.833" 13983232
7 1.43 "1.43" 7057110
8 9.23 "9.23" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:11.54]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("io\\_uring relay" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("pair of relays" 5)
set ytics add ("vop-bridge, 1 queue" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics scale 0
plot $b3_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP through VXLAN: Gbit/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.2697
set bmargin at screen 0.1191
$b3_2 << END
0 23.103 "23.1" 11579568
1 19.848 "19.8" 13983232
2 19.572 "19.6" 13983232
3 2.7425 "2.74" 29362
4 1.4298 "1.43" 29362
5 1.3455 "1.35" 29362
6 1.3235 "1.32" 29362
7 1.1416 "1.14" 7057110
8 0.75677 "0.757" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:28.88]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("pair of relays" 3)
set ytics add ("epoll relay" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("io\\_uring relay" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics scale 0
plot $b3_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP while it is captured: of that without" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.0531
set bmargin at screen 0.0197
$b4_0 << END
0 0.71709 "0.717" 13983232
1 0.64392 "0.644" 13983232
END
unset key
unset grid
unset xtics
set xrange [0:0.8964]
set yrange [1.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("vop-bridge" 1)
set ytics scale 0
plot $b4_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b4_0 using 2:1:3 with labels left offset 0.4,0
unset label
unset multiplot
unset output
