package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	hidden   = "xxxxx"
	sureFrom = 6 // bytes: a shorter secret may be a part of any word, and is looked for in its place only
)

// listenURL is the parameter of a PostgreSQL's URL that is a URL itself.
const listenURL = "listen_url"

// keep notes what the URL has that no output may show.
func (a *app) keep(rawURL string) {
	for _, secret := range secretsOf(rawURL) {
		if len(secret) >= sureFrom && !slices.Contains(a.secrets, secret) {
			a.secrets = append(a.secrets, secret)
		}
	}
	slices.SortStableFunc(a.secrets, func(x, y string) int { return len(y) - len(x) }) // one may be a part of another
}

// The places of secrets in anything like a URL, wherever it turns up.
var (
	userPart  = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*@`)
	queryPart = regexp.MustCompile(`(?i)([?&]\w*pass\w*=)[^\s"'<>&]*`)
)

// hide takes every secret out of text.
func (a *app) hide(text string) string {
	text = userPart.ReplaceAllStringFunc(text, func(found string) string {
		scheme, user, _ := strings.Cut(found, "://")
		if strings.HasPrefix(user, "[user:password@") { // how a URL is explained
			return found
		}
		return scheme + "://" + hidden + "@"
	})
	text = queryPart.ReplaceAllString(text, "${1}"+hidden)
	pairs := make([]string, 0, 2*len(a.secrets))
	for _, secret := range a.secrets {
		pairs = append(pairs, secret, hidden)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// secretsOf lists the passwords of a URL as they may be spelled: as written and as meant.
func secretsOf(rawURL string) []string {
	var secrets []string
	add := func(s string) {
		if s != "" {
			secrets = append(secrets, s)
		}
	}
	if rest, ok := strings.CutPrefix(rawURL, strings.Split(rawURL, "://")[0]+"://"); ok {
		if user := rest[:max(strings.LastIndex(rest, "@"), 0)]; user != "" {
			_, password, both := strings.Cut(user, ":")
			if !both && !isPostgres(rawURL) {
				password = user
			}
			add(password)
		}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return secrets
	}
	if u.User != nil {
		password, set := u.User.Password()
		if !set && !isPostgres(rawURL) {
			password = u.User.Username() // a password that lacks its colon; PostgreSQL's may lack a password
		}
		add(password)
	}
	for key, values := range u.Query() {
		for _, v := range values {
			switch {
			case secretKey(key):
				add(v)
				add(url.QueryEscape(v))
			case key == listenURL:
				for _, secret := range secretsOf(v) {
					add(secret)
					add(url.QueryEscape(secret))
				}
			}
		}
	}
	return secrets
}

func secretKey(key string) bool { return strings.Contains(strings.ToLower(key), "pass") }

// shownURL is the URL without passwords.
func shownURL(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "with a URL that does not parse"
	}
	if u.User != nil {
		if _, set := u.User.Password(); set {
			u.User = url.UserPassword(u.User.Username(), hidden)
		} else {
			u.User = url.User(hidden)
		}
	}
	query := u.Query()
	for key := range query {
		switch {
		case secretKey(key):
			query.Set(key, hidden)
		case key == listenURL:
			query.Set(key, shownURL(query.Get(key)))
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}
