#!/bin/sh
# check-card.sh NUMBER: prints the kind of card; fails when the check digit is wrong.
number=$1
case $number in
'' | *[!0-9]*) echo invalid; exit 1 ;;
4*) kind=visa ;;
5[1-5]*) kind=mastercard ;;
3[47]*) kind=amex ;;
6011*) kind=discover ;;
*) kind=other ;;
esac

sum=0
double=0
while [ -n "$number" ]; do
	rest=${number%?}
	digit=$((${number#"$rest"} * (1 + double)))
	[ "$digit" -gt 9 ] && digit=$((digit - 9))
	sum=$((sum + digit))
	double=$((1 - double))
	number=$rest
done
if [ $((sum % 10)) -ne 0 ]; then
	echo invalid
	exit 1
fi
echo "$kind"
