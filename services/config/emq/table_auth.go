package emq

// authTable is §6.4 and §6.5: users and client ids that authsvc holds itself.
func authTable() []Entry {
	return join(
		special("auth.user.<n>.{username,password}", "auth.users", (*conversion).user),
		special("auth.username.<name>", "auth.users", (*conversion).namedUser),
		special("auth.client.<n>.{clientid,password}", "auth.clients", (*conversion).client),
		note("new passwords are hashed with argon2id, see auth.users", "auth.{user,client}.password_hash"),
	)
}

// backendTable is §6.6 to §6.11: other people's databases.
func backendTable() []Entry {
	const ssl = "{certfile,keyfile,cacertfile,verify,fail_if_no_peer_cert}"
	return join(
		later("the HTTP backend of authsvc",
			"auth.http.{auth_req,super_req,acl_req}", "auth.http.{auth_req,super_req,acl_req}.{method,params,content_type}",
			"auth.http.request.{timeout,connect_timeout,retry_times,retry_interval,retry_backoff}", "auth.http.{timeout,connect_timeout,retry_times,retry_interval,retry_backoff}",
			"auth.http.header.<name>", "auth.http.ssl", "auth.http.ssl."+ssl),
		later("the LDAP backend of authsvc",
			"auth.ldap.{servers,port,timeout,pool,bind_dn,bind_password,user_dn,auth_dn,password_hash,ssl}", "auth.ldap.ssl."+ssl),
		later("the MySQL backend of authsvc",
			"auth.mysql.{server,pool,username,password,database,auth_query,password_hash,super_query,acl_query}"),
		later("the PostgreSQL backend of authsvc",
			"auth.pgsql.{server,pool,username,password,database,encoding,ssl,auth_query,password_hash,super_query,acl_query}", "auth.pgsql.ssl_opts.{keyfile,certfile,cacertfile}"),
		later("the Redis backend of authsvc",
			"auth.redis.{server,pool,database,password,auth_cmd,password_hash,super_cmd,acl_cmd,type,sentinel,query_timeout,ssl}", "auth.redis.ssl."+ssl),
		mongoTable(),
		later("the JWT backend of authsvc",
			"auth.jwt.{secret,pubkey,from,verify_claims}", "auth.jwt.verify_claims.<name>"),
	)
}

// mongoTable is §6.10.
func mongoTable() []Entry {
	return later("the MongoDB backend of authsvc",
		"auth.mongo.{type,rs_set_name,server,pool,login,password,auth_source,database,ssl,w_mode,r_mode}",
		"auth.mongo.ssl_opts.{certfile,keyfile,cacertfile,verify,fail_if_no_peer_cert}",
		"auth.mongo.topology.{pool_size,max_overflow,overflow_ttl,overflow_check_period,local_threshold_ms,connect_timeout_ms,socket_timeout_ms,"+
			"server_selection_timeout_ms,wait_queue_timeout_ms,heartbeat_frequency_ms,min_heartbeat_frequency_ms}",
		"auth.mongo.{auth_query,super_query,acl_query}",
		"auth.mongo.auth_query.{collection,password_field,password_hash,selector}",
		"auth.mongo.super_query.{collection,super_field,selector}",
		"auth.mongo.acl_query.{collection,selector}",
		"auth.mongo.acl_query.selector.<n>")
}
